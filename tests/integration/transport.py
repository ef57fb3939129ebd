"""From the settings to the module of the DPDK driver, and from its counters to people.

A module over sockets takes the place of the driver, so this needs neither DPDK nor rights.
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

from cluster import SPATE, Cluster, expect, request, run_tests, wait_for

MODULES = pathlib.Path(os.environ["BUILD"], "tests/integration/module")
NAME = "spate-net-dpdk.so"
USAGE, PERMISSION = 2, 10


@contextlib.contextmanager
def module_in_place(content):
    """LD_LIBRARY_PATH is looked at before the paths that the program was built with."""
    before = os.environ.get("LD_LIBRARY_PATH")
    with tempfile.TemporaryDirectory(prefix="spate-test-") as folder:
        if isinstance(content, bytes):
            pathlib.Path(folder, NAME).write_bytes(content)
        else:
            shutil.copy(content, pathlib.Path(folder, NAME))
        os.environ["LD_LIBRARY_PATH"] = folder
        try:
            yield folder
        finally:
            del os.environ["LD_LIBRARY_PATH"]
            if before is not None:
                os.environ["LD_LIBRARY_PATH"] = before


def on_dpdk(cluster):
    members = cluster.members().split(",")
    members = [m.replace("127.0.0.1", f"10.77.0.{m.split('@')[0]}") for m in members]
    return ["--raft.members", ",".join(members), "--dpdk.device", "memif:/nonexistent/spate"]


def metrics(cluster, core):
    lines = request(cluster.health[core], "GET", "/metrics").body.decode().splitlines()
    return {line.rsplit(" ", 1)[0]: int(line.rsplit(" ", 1)[1])
            for line in lines if not line.startswith("#")}, lines


def a_cluster_elects_and_replicates_over_the_module():
    with module_in_place(MODULES / "sockets.so"), Cluster(durability="memory") as cluster:
        cluster.start(more=on_dpdk(cluster))
        cluster.wait_ready()
        for core in cluster.ids:
            assert cluster.cli("kv", "put", f"k{core}", "v", core=core)[0] == 0
        assert cluster.wait_equal()["kv"]["keys"] == 3
        log = cluster.log(1)
        assert "on dpdk memif:/nonexistent/spate" in log, log


def every_setting_reaches_the_module_from_any_origin():
    with module_in_place(MODULES / "sockets.so"), Cluster(1, durability="memory") as cluster:
        ini = pathlib.Path(cluster.folder, "core.ini")
        ini.write_text("[dpdk]\ngateway = 10.77.3.254\nvlan = 7\nmtu = 4000\nmemory = 96\n",
                       encoding="utf-8")
        os.environ["SPATE_DPDK_EAL_EXTRA"] = "--log-level=8 -l 0"
        try:
            cluster.start(more=[*on_dpdk(cluster), "--transport", "dpdk", "--config", str(ini),
                                "--dpdk.address", "10.77.0.1/22", "--cpu", "0",
                                "--raft.frame-bytes", "3000"])
        finally:
            del os.environ["SPATE_DPDK_EAL_EXTRA"]
        cluster.wait_ready()
        port = cluster.peer[1]
        wanted = (f"options: memif:/nonexistent/spate 10.77.0.1:{port} /22 via "
                  f"10.77.3.254:{port} vlan 7 mtu 4000 frame 3000 memory 96 cpu 1 "
                  "extra '--log-level=8 -l 0'")
        wait_for("the notice", lambda: wanted in cluster.log(1))
        warnings = [line for line in cluster.log(1).splitlines() if "link has gone down" in line]
        assert len(warnings) == 1 and "warning" in warnings[0].lower(), warnings
        assert cluster.status(1)["net"]["poll"] == "busy"


def polling_is_busy_only_with_a_processor_or_when_asked_for():
    for flags, poll in (([], "adaptive"), (["--poll", "busy"], "busy"),
                        (["--poll", "adaptive", "--cpu", "0"], "adaptive")):
        with module_in_place(MODULES / "sockets.so"), Cluster(1, durability="memory") as cluster:
            cluster.start(more=[*on_dpdk(cluster), *flags])
            cluster.wait_ready()
            assert cluster.status(1)["net"]["poll"] == poll, flags


def counters_and_drops_are_in_status_and_in_metrics():
    with module_in_place(MODULES / "sockets.so"), Cluster(1, durability="memory") as cluster:
        cluster.start(more=on_dpdk(cluster))
        cluster.wait_ready()
        net = cluster.status(1)["net"]
        assert (net["transport"], net["device"]) == ("dpdk", "memif:/nonexistent/spate"), net
        assert net["counters"] == {"mbufs_free": 4096, "polls_empty": 77,
                                   "memif.10.77.0.2.link_up": 0, "memif.10.77.0.2.links_up": 1,
                                   "memif.10.77.0.3.links_up": 2}, net
        assert net["drops"] == [{"device": "memif.10.77.0.2", "reason": "vlan", "count": 3},
                                {"device": "memif.10.77.0.3", "reason": "vlan", "count": 4},
                                {"device": "", "reason": "no_mbuf", "count": 5}], net
        wait_for("an idle turn", lambda: 0 < cluster.status(1)["net"]["idle_ratio"] <= 1)
        code, out, _ = cluster.cli("status", core=1)
        text = out.decode()
        assert code == 0 and "dpdk on memif:/nonexistent/spate, poll adaptive" in text, text
        assert "mbufs_free" in text and "memif.10.77.0.3: vlan" in text, text
        assert "arp" not in text, "a counter that is zero is shown"
        values, lines = metrics(cluster, 1)
        for name, value in {"spate_net_mbufs_free": 4096, "spate_net_polls_empty_total": 77,
                            'spate_net_links_up_total{device="memif.10.77.0.2"}': 1,
                            'spate_net_links_up_total{device="memif.10.77.0.3"}': 2,
                            'spate_net_dropped_total{device="memif.10.77.0.2",reason="vlan"}': 3,
                            'spate_net_dropped_total{device="memif.10.77.0.2",reason="arp"}': 0,
                            'spate_net_dropped_total{device="memif.10.77.0.3",reason="vlan"}': 4,
                            'spate_net_dropped_total{device="",reason="no_mbuf"}': 5}.items():
            assert values.get(name) == value, (name, values)
        assert "# TYPE spate_net_mbufs_free gauge" in lines
        assert "# TYPE spate_net_links_up_total counter" in lines
        of = [line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")]
        runs = [name for i, name in enumerate(of) if i == 0 or of[i - 1] != name]
        assert len(runs) == len(set(runs)), "a metric's samples are not together"


def sockets_show_what_they_count_the_same_way():
    with Cluster(durability="memory") as cluster:
        cluster.start()
        cluster.wait_ready()
        assert cluster.cli("kv", "put", "k", "v")[0] == 0
        net = cluster.status(1)["net"]
        assert (net["transport"], net["device"], net["poll"]) == ("socket", "", "adaptive"), net
        assert net["rx_frames"] > 0 and net["tx_frames"] > 0, net
        values, _ = metrics(cluster, 1)
        assert "spate_net_tx_segmented_total" in values, values


def a_module_that_is_broken_or_of_another_build_is_named_with_the_remedy():
    with Cluster(1, durability="memory") as cluster:
        words = [*cluster.arguments(1)[1:], *on_dpdk(cluster)]
        with module_in_place(b"not a module") as folder:
            expect(USAGE, [folder, "install", "transport = socket"], *words)
        with module_in_place(MODULES / "other_version.so"):
            expect(USAGE, [NAME, "another version", "2", "same build"], *words)
        assert not os.path.exists(cluster.data(1)), "a refused core wrote something"


def what_the_driver_refuses_is_passed_on_and_no_socket_takes_its_place():
    with module_in_place(MODULES / "sockets.so"), Cluster(1, durability="memory") as cluster:
        words = [*cluster.arguments(1)[1:], *on_dpdk(cluster), "--insecure-peers", "any",
                 "--dpdk.device", "pci:refuse"]
        for transport in ("auto", "dpdk"):
            expect(PERMISSION, ["pci:refuse", "vfio-pci"], *words, "--transport", transport)


def the_program_itself_links_nothing_of_dpdk():
    libraries = subprocess.run(["ldd", SPATE], capture_output=True, text=True, check=True).stdout
    assert "libc.so" in libraries and "librte" not in libraries, libraries


run_tests([a_cluster_elects_and_replicates_over_the_module,
           every_setting_reaches_the_module_from_any_origin,
           polling_is_busy_only_with_a_processor_or_when_asked_for,
           counters_and_drops_are_in_status_and_in_metrics,
           sockets_show_what_they_count_the_same_way,
           a_module_that_is_broken_or_of_another_build_is_named_with_the_remedy,
           what_the_driver_refuses_is_passed_on_and_no_socket_takes_its_place,
           the_program_itself_links_nothing_of_dpdk])
