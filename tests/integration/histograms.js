// usage: node histograms.js FOLDER MODULES: reads FOLDER/sample.hlog and sample.hgrm with
// hdr-histogram-js and compares them with sample.txt. Says what differs and exits with 1.
const fs = require('fs');
const path = require('path');
const [folder, modules] = process.argv.slice(2);
const hdr = require(path.join(modules, 'hdr-histogram-js'));
const text = (name) => fs.readFileSync(path.join(folder, name), 'utf8');
const build = () => hdr.build({lowestDiscernibleValue: 1, highestTrackableValue: 2 ** 36 - 1,
  numberOfSignificantValueDigits: 3, bitBucketSize: 64});
let faults = 0;

function same(what, ours, theirs) {
  if (ours !== theirs) {
    faults++;
    console.error(`${what}: ours ${ours}, theirs ${theirs}`);
  }
}

const recorded = text('sample.txt').replace(/\n$/, '').split(/^\n/m).map((interval) =>
  interval.split('\n').filter(Boolean).map((line) => line.split(' ').map(Number)));
const lines = text('sample.hlog').split('\n').filter((line) => /^[0-9]/.test(line));
const all = build();
same('intervals', lines.length, recorded.length);
lines.forEach((line, i) => {
  const [, seconds, max, code] = line.split(',');
  const ours = hdr.decodeFromCompressedBase64(code, 64);
  const theirs = build();
  recorded[i].forEach(([value, count]) => theirs.recordValueWithCount(value, count));
  all.add(theirs);
  same(`interval ${i}, seconds`, seconds, '1.500');
  same(`interval ${i}, max`, max, (theirs.maxValue / 1e6).toFixed(6));
  same(`interval ${i}, count`, ours.totalCount, theirs.totalCount);
  const slots = theirs.countsArrayIndex(2 ** 36 - 1);
  for (let slot = 0; slot <= slots; slot++) {
    same(`interval ${i}, slot ${slot}`, ours.getCountAtIndex(slot),
      theirs.getCountAtIndex(slot));
  }
  for (const percentile of [0, 1, 50, 90, 99, 99.9, 99.99, 100]) {
    same(`interval ${i}, p${percentile}`, ours.getValueAtPercentile(percentile),
      theirs.getValueAtPercentile(percentile));
  }
});

// The table of percentiles, line for line; what follows it is for people. Digits of the percentile
// that lie in the middle between two are rounded to either side, so one of them less.
const table = (said) => said.split('\n').filter((line) => /^ +[0-9]/.test(line))
  .map((line) => line.trim().split(/ +/))
  .map(([value, percentile, ...rest]) => [value, (+percentile - 3e-13).toFixed(11), ...rest].join(' '));
const ours = table(text('sample.hgrm'));
const theirs = table(all.outputPercentileDistribution(5, 1000));
same('lines of .hgrm', ours.length, theirs.length);
ours.forEach((line, i) => same(`.hgrm line ${i}`, line, theirs[i]));
process.exit(faults === 0 && ours.length > 50 ? 0 : 1);
