#!/usr/bin/env python3
"""Deploying on real network cards, rehearsed in a virtual machine: three PCI cards behind an IOMMU,
bound to vfio-pci with hugepages, a core of the release build on each.

usage: rehearse.py BUILD CACHE [e1000e] [virtio-net]

BUILD is a release build, CACHE keeps Debian's kernel package between runs. Emulated in software: what
works here works, how fast it is says nothing. The guest's side is the script `init`.
"""
import glob
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
CARDS = {"e1000e": ("e1000e", "romfile="),
         "virtio-net": ("virtio-net-pci",
                        "romfile=,disable-legacy=on,iommu_platform=on,ats=on")}
# Where PMDs are, below a library folder. EAL loads all that it finds there.
PMDS = "dpdk/pmds-23.0"
PMDS_WANTED = ["net_virtio", "net_e1000", "bus_pci", "bus_vdev", "mempool_ring"]
MODULE_FOLDER = "/usr/lib/spate"  # `init` tells the loader.
KERNEL_MODULES = ["vfio", "irqbypass"]
BOOT_SECONDS_MAX = 85


class Failure(Exception):
    """Why it cannot go on, in one line."""


def run(*words, **named):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False,
                          **named)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Failure(f"{words[0]} failed: {lines[-1] if lines else done.returncode}")
    return done.stdout


def kernel(cache):
    """Debian's kernel for virtual machines, unpacked once."""
    folder = cache / "kernel"
    found = sorted(folder.glob("boot/vmlinuz-*"))
    if not found:
        depends = run("apt-cache", "depends", "linux-image-cloud-amd64")
        package = re.search(r"Depends: (linux-image-\S+)", depends)
        if not package:
            raise Failure("apt knows no linux-image-cloud-amd64: run apt-get update")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        run("apt-get", "download", package[1], cwd=cache)
        run("dpkg", "-x", next(cache.glob("linux-image-*.deb")), folder)
        found = sorted(folder.glob("boot/vmlinuz-*"))
    return found[0], folder


class Image:
    """The first file system of the guest, made of what this machine has."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        for name in ("bin", "proc", "sys", "dev", "run", "tmp", "lib/modules"):
            (self.root / name).mkdir(parents=True)

    def put(self, source, target):
        to = self.root / str(target).lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        if not to.exists():
            shutil.copy(os.path.realpath(source), to)

    def libraries(self, program):
        """What a program or a library is linked with, at the same paths."""
        for path in re.findall(r"(/\S+) \(0x", run("ldd", program)):
            self.put(path, path)

    def add(self, path, target=None):
        self.put(path, target or path)
        self.libraries(path)

    def pmds(self):
        folder = next(iter(glob.glob(f"/usr/lib/*/{PMDS}")), None)
        if folder is None:
            raise Failure("DPDK's drivers are not installed: apt-get install libdpdk-dev")
        for name in PMDS_WANTED:
            file = f"librte_{name}.so.23"
            # EAL opens NAME.so.23.0; were the other name another file, it would be loaded twice.
            self.put(f"{folder}/{file}", f"{folder}/{file}.0")
            self.libraries(f"{folder}/{file}")
            for place in (folder, str(pathlib.Path(folder).parents[1]), "/lib/x86_64-linux-gnu"):
                link = self.root / f"{place}/{file}".lstrip("/")
                if place == folder or link.exists():
                    link.unlink(missing_ok=True)
                    link.symlink_to(f"{folder}/{file}.0")

    def kernel_modules(self, folder):
        for pattern in KERNEL_MODULES:
            for path in folder.rglob(f"{pattern}*.ko"):
                self.put(path, f"/lib/modules/{path.name}")

    def pack(self, target):
        names = run("find", ".", cwd=self.root)
        with open(target, "wb") as file:
            cpio = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=names.encode(),
                                  stdout=subprocess.PIPE, cwd=self.root, check=True)
            subprocess.run(["gzip", "-1"], input=cpio.stdout, stdout=file, check=True)


def make_image(build, cache, target):
    vmlinuz, folder = kernel(cache)
    spate = build / "apps/spate/spate"
    module = build / "drivers/net/dpdk/spate-net-dpdk.so"
    for path in (spate, module):
        if not path.exists():
            raise Failure(f"{path} is missing: ./run rehearse builds it, with libdpdk-dev installed")
    with tempfile.TemporaryDirectory(prefix="spate-rehearse-") as root:
        image = Image(root)
        image.put("/bin/busybox", "/bin/busybox")
        (image.root / "bin/sh").symlink_to("busybox")
        image.put(HERE / "init", "/init")
        image.add(spate, "/bin/spate")
        # Where it was built may be a folder that the guest mounts something over.
        image.add(module, f"{MODULE_FOLDER}/{module.name}")
        image.pmds()
        image.kernel_modules(folder)
        image.pack(target)
    return vmlinuz


def command(card, vmlinuz, image, monitor):
    device, options = CARDS[card]
    words = ["qemu-system-x86_64", "-machine", "q35,kernel-irqchip=split",
             "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048",
             "-nographic", "-no-reboot", "-nodefaults", "-serial", "stdio",
             "-monitor", f"unix:{monitor},server,nowait",
             "-kernel", str(vmlinuz), "-initrd", str(image),
             "-append", "console=ttyS0 quiet intel_iommu=on iommu=pt panic=-1",
             "-device", "intel-iommu,intremap=on,device-iotlb=on"]
    for number in (1, 2, 3):
        words += ["-netdev", f"hubport,id=hub{number},hubid=0",
                  "-device", f"{device},id=card{number},netdev=hub{number},bus=pcie.0,"
                             f"addr={number + 1},{options}"]
    return words


def tell(monitor, line):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(monitor)
        connection.recv(4096)
        connection.sendall(line.encode() + b"\n")
        time.sleep(0.2)
        connection.recv(4096)


def rehearse(card, vmlinuz, image, folder):
    """Boots the machine, does what it asks, shows what it says. True: it passed."""
    monitor = f"{folder}/monitor-{card}"
    began, has_passed, last = time.monotonic(), False, []
    print(f"rehearse: three cores on {card}", flush=True)
    with subprocess.Popen(command(card, vmlinuz, image, monitor), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", start_new_session=True) as machine:
        guard = threading.Timer(BOOT_SECONDS_MAX, machine.kill)
        guard.start()
        try:
            for line in machine.stdout:
                line = line.strip()
                last = [*last[-30:], line]
                # The firmware leaves control characters before the first.
                if "rehearse:" in line or line.startswith("core "):
                    said = line[max(line.find("rehearse:"), 0):]
                    print(f"[{time.monotonic() - began:3.0f} s] {said}", flush=True)
                elif line.startswith("@cut"):
                    tell(monitor, f"set_link card{line.split()[1]} off")
                elif line.startswith("@plug"):
                    tell(monitor, f"set_link card{line.split()[1]} on")
                elif line == "@passed":
                    has_passed = True
        finally:
            guard.cancel()
            machine.kill()
    if not has_passed:
        print("\n".join(last), file=sys.stderr)
        raise Failure(f"{card}: the rehearsal did not pass "
                      f"({time.monotonic() - began:.0f} s of at most {BOOT_SECONDS_MAX})")
    print(f"rehearse: {card} passed in {time.monotonic() - began:.0f} s", flush=True)


def main(words):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if len(words) < 2 or any(card not in CARDS for card in words[2:]):
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    build, cache = pathlib.Path(words[0]).resolve(), pathlib.Path(words[1]).resolve()
    for program in ("qemu-system-x86_64", "busybox", "cpio", "dpkg"):
        if shutil.which(program) is None:
            raise Failure(f"{program} is not installed; ./run rehearse installs what it needs")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="spate-rehearse-") as folder:
        image = f"{folder}/image.gz"
        vmlinuz = make_image(build, cache, image)
        for card in words[2:] or CARDS:
            rehearse(card, vmlinuz, image, folder)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        print(f"rehearse: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("rehearse: interrupted; nothing is left running", file=sys.stderr)
        sys.exit(130)
