#!/usr/bin/env python3
"""join.py INTO SLICE...: slices of one measurement become one results folder.

A machine that is quiet for minutes only is measured in slices, `spate bench PROFILE --output SLICE`
each. They must be of one machine and one build. Afterwards `spate bench report INTO` draws the page.
"""
import csv
import json
import pathlib
import shutil
import sys

SAME = ['cpu', 'cpus', 'memory', 'kernel', 'kernel_command_line', 'mitigations', 'governor', 'dpdk',
        'compiler', 'build', 'revision']


def fail(text):
    sys.exit(f'join.py: {text}')


def read_json(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        fail(f'{path}: {error}; give folders that --output made')


def join_json(into, slices):
    first = read_json(slices[0] / 'env.json')
    joined = {}
    commands = []
    for folder in slices:
        env = read_json(folder / 'env.json')
        for key in SAME:
            if env.get(key) != first.get(key):
                fail(f'{folder}: another {key} than {slices[0]}: {env.get(key)}, {first.get(key)}')
        commands.append(env['command'])
        for key, value in read_json(folder / 'results.json').items():
            if isinstance(value, list):
                joined.setdefault(key, []).extend(v for v in value if v not in joined[key])
            else:
                joined.setdefault(key, value)
    del first['command']
    first['commands'] = commands
    (into / 'env.json').write_text(json.dumps(first, indent=2) + '\n')
    (into / 'results.json').write_text(json.dumps(joined, indent=1) + '\n')


def join_csv(into, slices):
    columns = []
    rows = []
    for folder in slices:
        with open(folder / 'results.csv', newline='') as file:
            reader = csv.DictReader(file)
            columns += [c for c in reader.fieldnames if c not in columns]
            rows += list(reader)
    with open(into / 'results.csv', 'w', newline='') as file:
        writer = csv.DictWriter(file, columns, restval='')
        writer.writeheader()
        writer.writerows(rows)


def main():
    if len(sys.argv) < 3:
        fail('give the folder to make and the slices: join.py INTO SLICE...')
    into = pathlib.Path(sys.argv[1])
    slices = [pathlib.Path(word) for word in sys.argv[2:]]
    into.mkdir(parents=True)
    join_json(into, slices)
    join_csv(into, slices)
    for folder in slices:
        for path in sorted(folder.glob('*.h*')):
            if path.suffix in ('.hgrm', '.hlog'):
                if (into / path.name).exists():
                    fail(f'{path}: another slice has measured that, too')
                shutil.copy(path, into / path.name)


if __name__ == '__main__':
    main()
