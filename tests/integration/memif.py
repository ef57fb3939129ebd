"""The DPDK driver over shared memory, as a deployer meets it: without rights, restarted, refused."""
import json
import os
import pathlib
import shutil
import socket

import cluster as clusters
from cluster import SPATE, Cluster, expect, run_tests, wait_for

# The program must find the module by itself; what runs tests may have helped it.
os.environ.pop("LD_LIBRARY_PATH", None)

USAGE, IN_USE = 2, 6
MODULE = pathlib.Path(os.environ["BUILD"], "drivers/net/dpdk/spate-net-dpdk.so")
NOBODY = 65534


def an_ordinary_user_needs_no_rights_and_no_hugepages():
    """Root gives everything up for it, and lends program and module to those who may read them."""
    with Cluster(durability="memory") as cluster:
        before = clusters.SPATE
        if os.geteuid() == 0:
            shutil.copy(SPATE, f"{cluster.folder}/spate")
            shutil.copy(MODULE, cluster.folder)
            for path in (cluster.folder, f"{cluster.folder}/spate"):
                os.chown(path, NOBODY, NOBODY)
            clusters.SPATE = f"{cluster.folder}/spate"
            cluster.user = NOBODY
            os.environ["LD_LIBRARY_PATH"] = cluster.folder
        try:
            cluster.start()
            cluster.wait_ready()
            for core in cluster.ids:
                assert cluster.cli("kv", "put", f"k{core}", "v", core=core)[0] == 0
            assert cluster.wait_equal()["kv"]["keys"] == 3
            assert "--no-huge" in cluster.log(1), cluster.log(1)
            cluster.stop()
        finally:
            clusters.SPATE = before
            os.environ.pop("LD_LIBRARY_PATH", None)


def status_metrics_and_log_speak_of_the_device():
    with Cluster(durability="memory") as cluster:
        cluster.start()
        cluster.wait_ready()
        device = f"memif:{cluster.folder}/memif"
        net = cluster.status(1)["net"]
        assert (net["transport"], net["device"]) == ("dpdk", device), net
        assert net["counters"]["mbufs_free"] > 0 and net["rx_frames"] > 0, net
        code, out, _ = cluster.cli("status", core=1)
        assert code == 0 and f"dpdk on {device}" in out.decode(), out
        page = clusters.request(cluster.health[1], "GET", "/metrics").body.decode()
        assert "# TYPE spate_net_mbufs_free gauge" in page, page
        for other in (2, 3):
            assert f'spate_net_link_up{{device="memif.10.77.0.{other}"}} 1' in page, page
        assert cluster.log(1).count("EAL started with") == 1, cluster.log(1)
        cluster.kill(3)
        wait_for("a line about the lost peer",
                 lambda: "memif.10.77.0.3: the peer is gone" in cluster.log(1))
        cluster.start(3)
        cluster.wait_ready(3)


def eal_folder(pid):
    base = "/var/run" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR", "/tmp")
    return pathlib.Path(base, "dpdk", f"spate-{pid}")


def counters_are_on_dpdks_telemetry_socket_and_its_folder_goes_with_the_core():
    with Cluster(1, durability="memory") as cluster:
        cluster.start()
        cluster.wait_ready()
        folder = eal_folder(cluster.cores[1].pid)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as telemetry:
            telemetry.settimeout(30)
            telemetry.connect(str(folder / "dpdk_telemetry.v2"))
            assert json.loads(telemetry.recv(16384))["pid"] == cluster.cores[1].pid
            telemetry.send(b"/spate/counters")
            counters = json.loads(telemetry.recv(16384))["/spate/counters"]
        assert counters["0/mbufs_free"] > 0 and counters["0/polls"] > 0, counters
        cluster.stop()
        assert not folder.exists(), list(folder.iterdir())
        cluster.start()
        cluster.wait_ready()
        left = eal_folder(cluster.cores[1].pid)
        cluster.kill(1)
        assert left.exists()  # What a killed core leaves,
        cluster.start()
        cluster.wait_ready()
        assert not left.exists(), "the next start did not remove what a killed core left"


def frames_are_as_large_as_the_device_allows_and_larger_ones_are_refused():
    with Cluster(1, durability="memory") as cluster:
        expect(USAGE, ["60000", "MTU"], *cluster.arguments(1)[1:], "--raft.frame-bytes", "60000")
        expect(USAGE, ["8000", "MTU"], *cluster.arguments(1)[1:], "--dpdk.mtu", "1500",
               "--raft.frame-bytes", "8000")


def an_address_serves_one_core_of_a_folder():
    with Cluster(durability="memory") as cluster:
        cluster.start(1)
        wait_for("core 1", lambda: cluster.status(1))
        with Cluster(durability="memory") as other:
            words = [*cluster.arguments(1)[1:], "--api.listen", f"127.0.0.1:{other.api[1]}",
                     "--health.listen", f"127.0.0.1:{other.health[1]}"]
            expect(IN_USE, ["10.77.0.1"], *words)


def devices_that_are_not_there_are_named():
    with Cluster(1, durability="memory") as cluster:
        words = [*cluster.arguments(1)[1:], "--insecure-peers", "any"]
        for device, says in {"memif:relative": "whole path",
                             "memif:/dev/null": "no folder",
                             "af_packet:nope9": "ip link",
                             "af_xdp:nope9": "ip link",
                             "pci:nowhere": "dpdk-devbind.py",
                             "pci:0000:ff:1f.7": "vfio-pci"}.items():
            expect(USAGE, [says], *words, "--dpdk.device", device)


run_tests([an_ordinary_user_needs_no_rights_and_no_hugepages,
           status_metrics_and_log_speak_of_the_device,
           counters_are_on_dpdks_telemetry_socket_and_its_folder_goes_with_the_core,
           frames_are_as_large_as_the_device_allows_and_larger_ones_are_refused,
           an_address_serves_one_core_of_a_folder, devices_that_are_not_there_are_named])
