"""DPDK over kernel interfaces, as on a network: namespaces, a bridge, ARP, ping, other stacks."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "integration"))

from cluster import run_tests, wait_for  # noqa: E402
from network import SUBNET, NetworkCluster, ip  # noqa: E402

# What a frame that was damaged, forged or misread would be counted under.
# (Not "arp" and "icmp": broadcasts about others, and what a restarting kernel socket says.)
DAMAGE = {"truncated", "vlan", "ethertype", "ip_header", "ip_checksum", "ip_fragment", "protocol",
          "udp_length", "udp_checksum", "udp_checksum_absent", "udp_port", "rx_scattered",
          "device_rx_error", "device_tx_error"}


def assert_undamaged(cluster, *cores):
    for core in cores:
        damage = {r: n for r, n in cluster.drops(core).items() if r in DAMAGE}
        assert not damage, f"core {core} dropped {damage}"


def replicate_and_recover(cluster):
    """Elect, write through every core, lose the leader, bring it back; contents are equal."""
    cluster.start()
    cluster.wait_ready()
    for core in cluster.ids:
        for number in range(20):
            cluster.put(f"{core}/{number}", b"x" * (100 * number), core)
    killed = cluster.leader()
    cluster.kill(killed)
    survivor = next(iter(cluster.cores))
    wait_for("another leader", lambda: (cluster.status(survivor) or {}).get("leader", 0)
             not in (0, killed))
    cluster.put("without", b"the killed one", survivor)
    cluster.start(killed)
    cluster.wait_ready(killed)
    assert cluster.wait_equal()["kv"]["keys"] == 61


def ask_for_core(cluster, core):
    """ARP and ping from another station, which knows the core's address from ARP alone."""
    space = cluster.bridge
    code, out = space.run("ping", "-c", 5, "-i", "0.2", "-W", 10, f"{SUBNET}.{core}")
    assert code == 0 and " 0% packet loss" in out, out
    mac = ip("-n", cluster.spaces[core].name, "-br", "link", "show", "eth0").split()[2]
    assert mac in space.run("ip", "neigh", "show", f"{SUBNET}.{core}")[1]
    # A size that fills the MTU, which may not be fragmented.
    code, out = space.run("ping", "-c", 1, "-s", 1472, "-M", "do", "-W", 10, f"{SUBNET}.{core}")
    assert code == 0, out


def over(kind):
    with NetworkCluster([f"{kind}:eth0"] * 3) as cluster:
        replicate_and_recover(cluster)
        for core in cluster.ids:
            ask_for_core(cluster, core)
        assert_undamaged(cluster, *cluster.ids)
        cluster.stop()
        for core in cluster.ids:
            link = ip("-n", cluster.spaces[core].name, "-d", "link", "show", "eth0")
            assert "prog/xdp" not in link, f"an XDP program was left: {link}"


def three_cores_over_af_packet_replicate_and_answer_arp_and_ping():
    over("af_packet")


def three_cores_over_af_xdp_replicate_and_answer_arp_and_ping():
    over("af_xdp")


def a_core_on_dpdk_and_two_on_sockets_are_one_cluster():
    for kind in ("af_packet", "af_xdp"):
        with NetworkCluster([f"{kind}:eth0", None, None]) as cluster:
            replicate_and_recover(cluster)
            for core in cluster.ids:
                cluster.put("large", b"y" * 60000, core)
            cluster.wait_equal()
            assert_undamaged(cluster, 1)


def a_core_with_another_vlan_is_counted_and_not_heard():
    with NetworkCluster(["af_packet:eth0"] * 3, more={3: ["--dpdk.vlan", "5"]}) as cluster:
        cluster.start()
        cluster.wait_ready(1, 2)
        wait_for("frames of another VLAN", lambda: cluster.drops(1).get("vlan", 0) > 0)
        wait_for("frames without a VLAN", lambda: cluster.drops(3).get("vlan", 0) > 0)
        cluster.put("two", b"are enough", 1)
        assert cluster.status(3)["leader"] == 0, cluster.status(3)


def three_cores_on_a_vlan_replicate():
    with NetworkCluster(["af_packet:eth0"] * 3, flags=["--dpdk.vlan", "5"]) as cluster:
        replicate_and_recover(cluster)
        assert_undamaged(cluster, *cluster.ids)


def an_address_that_another_station_has_is_seen_and_said():
    with NetworkCluster(["af_packet:eth0"] * 3) as cluster:
        cluster.start()
        cluster.wait_ready()
        ip("-n", cluster.bridge.name, "addr", "add", f"{SUBNET}.1/24", "dev", "br0")
        cluster.bridge.run("ping", "-c", 3, "-i", "0.2", "-W", 1, "-I", f"{SUBNET}.1",
                           f"{SUBNET}.2")
        wait_for("the conflict in the log", lambda: "is used by another station" in cluster.log(1))
        ip("-n", cluster.bridge.name, "addr", "del", f"{SUBNET}.1/24", "dev", "br0")
        cluster.put("still", b"there", cluster.leader())
        cluster.wait_equal()


def a_cable_that_is_pulled_and_plugged_in_again_is_survived():
    with NetworkCluster(["af_xdp:eth0"] * 3) as cluster:
        cluster.start()
        cluster.wait_ready()
        cluster.put("before", b"1", 1)
        cut = cluster.leader()
        others = [core for core in cluster.ids if core != cut]
        ip("-n", cluster.bridge.name, "link", "set", f"p{cut}", "down")
        wait_for("the link in the log", lambda: "the link is down" in cluster.log(cut))
        wait_for("another leader", lambda: (cluster.status(others[0]) or {}).get("leader", 0)
                 in others)
        cluster.put("during", b"2", others[0])
        ip("-n", cluster.bridge.name, "link", "set", f"p{cut}", "up")
        wait_for("the link in the log", lambda: cluster.log(cut).count("the link is up") > 1)
        cluster.wait_ready()
        assert cluster.wait_equal()["kv"]["keys"] == 2


def what_a_killed_core_leaves_on_an_interface_goes_with_the_next_start():
    with NetworkCluster(["af_xdp:eth0"] * 3) as cluster:
        for _ in range(2):
            cluster.start()
            cluster.wait_ready()
            cluster.put("k", b"v", 2)
            cluster.kill(*cluster.ids)
        cluster.start()
        cluster.wait_ready()
        assert "removed the XDP program" in cluster.log(1)
        cluster.wait_equal()
        cluster.stop()


run_tests([three_cores_over_af_packet_replicate_and_answer_arp_and_ping,
           three_cores_over_af_xdp_replicate_and_answer_arp_and_ping,
           a_core_on_dpdk_and_two_on_sockets_are_one_cluster,
           a_core_with_another_vlan_is_counted_and_not_heard, three_cores_on_a_vlan_replicate,
           an_address_that_another_station_has_is_seen_and_said,
           a_cable_that_is_pulled_and_plugged_in_again_is_survived,
           what_a_killed_core_leaves_on_an_interface_goes_with_the_next_start])
