//! What rules mean: bans told from limits, policies, sets, counters, the order of chains.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod common;

use common::load;
use netwhy_model::host::Match::{
    ConnectionCount, ConnectionState, DestinationPort, Interface, Mark, Rate, SourceBan, SourceRange,
    TcpFlags, User,
};
use netwhy_model::host::{Backend, Hook, Match, Rule, RuleVerdict, Ruleset, RulesetSet};
use netwhy_netfilter::{rule_deltas, ruleset};
use netwhy_testing::{attempt, in_namespace, output, run};

fn read() -> Ruleset {
    let (ruleset, unread) = ruleset();
    assert!(unread.is_empty(), "{unread:?}");
    assert_eq!(ruleset.not_understood, Vec::<String>::new());
    ruleset
}

/// Rules of the chain `input`, without its policy.
fn input(rules: &[Rule]) -> Vec<&Rule> {
    rules.iter().filter(|rule| rule.position > 0 && rule.chain.eq_ignore_ascii_case("input")).collect()
}

fn set<'a>(ruleset: &'a Ruleset, name: &str) -> &'a RulesetSet {
    ruleset.sets.iter().find(|set| set.name == name).expect("the set is read")
}

#[test]
fn bans_limits_and_allow_lists_are_told_apart() {
    let expected: Vec<(&str, &[Match], RuleVerdict)> = vec![
        ("ip saddr 203.0.113.9 drop", &[SourceBan], RuleVerdict::Drop),
        ("ip saddr { 203.0.113.9, 203.0.113.10 } drop", &[SourceBan], RuleVerdict::Drop),
        ("ip saddr @f2b reject", &[SourceBan], RuleVerdict::Reject("icmp 3/3".into())),
        ("ip saddr @f2b tcp dport 22 drop", &[SourceBan, DestinationPort], RuleVerdict::Drop),
        ("ip saddr @nets drop", &[SourceRange], RuleVerdict::Drop),
        ("ip saddr != @nets drop", &[SourceRange], RuleVerdict::Drop),
        ("ip saddr != 10.0.0.0/8 drop", &[SourceRange], RuleVerdict::Drop),
        ("ip saddr != 10.0.0.1 drop", &[SourceRange], RuleVerdict::Drop),
        ("ip saddr 10.0.0.1 accept", &[SourceRange], RuleVerdict::Accept),
        ("ip saddr 10.0.0.1-10.0.0.9 accept", &[SourceRange], RuleVerdict::Accept),
        ("limit rate over 10/second drop", &[Rate], RuleVerdict::Drop),
        ("add @rates { ip saddr limit rate over 10/second } drop", &[Rate], RuleVerdict::Drop),
        ("add @busy { ip saddr ct count over 5 } drop", &[ConnectionCount], RuleVerdict::Drop),
        ("tcp dport 22 ct count over 3 drop", &[DestinationPort, ConnectionCount], RuleVerdict::Drop),
        ("ct state invalid drop", &[ConnectionState], RuleVerdict::Drop),
        ("iifname \"lo\" accept", &[Interface], RuleVerdict::Accept),
        ("meta mark 0x1 drop", &[Mark], RuleVerdict::Drop),
        ("tcp flags syn drop", &[TcpFlags], RuleVerdict::Drop),
        ("meta skuid 5 drop", &[User], RuleVerdict::Drop),
        ("tcp dport 25 reject with icmpx admin-prohibited", &[DestinationPort], {
            RuleVerdict::Reject("icmp 3/13 or icmpv6 1/1".into())
        }),
        ("meta nfproto ipv6 reject with icmpx admin-prohibited", &[], {
            RuleVerdict::Reject("icmpv6 1/1".into())
        }),
        ("tcp dport vmap { 22 : accept, 23 : drop }", &[DestinationPort], RuleVerdict::Drop),
        ("ct state vmap { established : accept, new : jump more }", &[ConnectionState], RuleVerdict::Accept),
        ("iifname \"eth0\" jump more", &[Interface], RuleVerdict::Jump("more".into())),
        ("meta mark set 0x1", &[], RuleVerdict::Continue),
        ("log prefix \"x\"", &[], RuleVerdict::Continue),
    ];
    in_namespace(&["nft"], move || {
        load(
            "table inet filter { set f2b { type ipv4_addr; flags timeout; } \
             set nets { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; } \
             set rates { type ipv4_addr; size 100; flags dynamic,timeout; timeout 1m; } \
             set busy { type ipv4_addr; size 100; flags dynamic; } \
             chain more { } ; \
             chain input { type filter hook input priority 0; } }",
        );
        for (text, ..) in &expected {
            run(&format!("nft add rule 'inet filter input {text}'"));
        }
        let ruleset = read();
        let rules = input(&ruleset.rules);
        assert_eq!(rules.len(), expected.len());
        for (rule, (text, matches, verdict)) in rules.iter().zip(&expected) {
            let mut found = rule.matches.clone();
            let mut wanted = matches.to_vec();
            found.sort();
            wanted.sort();
            assert_eq!((found, &rule.verdict), (wanted, verdict), "{text}");
        }
    });
}

#[test]
fn a_set_that_packets_fill_is_dynamic() {
    in_namespace(&["nft"], || {
        load(
            "table inet filter { set f2b { type ipv4_addr; flags timeout; \
             elements = { 203.0.113.10 timeout 1h, 203.0.113.9 timeout 10m }; } \
             set nets { type ipv4_addr; flags interval; \
             elements = { 10.0.0.0/8, 192.168.1.5-192.168.1.9, 172.16.0.1 }; } \
             map ports { type inet_service : verdict; elements = { 22 : accept, 80 : drop }; } }",
        );
        let ruleset = read();
        let bans = set(&ruleset, "f2b");
        assert_eq!((bans.count, bans.dynamic), (2, true));
        assert_eq!(bans.elements, ["203.0.113.9", "203.0.113.10"]);
        let nets = set(&ruleset, "nets");
        assert_eq!((nets.count, nets.dynamic), (3, false));
        assert_eq!(nets.elements, ["10.0.0.0/8", "172.16.0.1", "192.168.1.5-192.168.1.9"]);
        assert_eq!(set(&ruleset, "ports").elements, ["22 : accept", "80 : drop"]);
    });
}

#[test]
fn a_large_set_is_counted_in_full_and_kept_in_part() {
    const COUNT: u32 = 20_000;
    in_namespace(&["nft"], || {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rules");
        let elements: Vec<String> =
            (0..COUNT).map(|number| std::net::Ipv4Addr::from(0x0a00_0000 + 2 * number).to_string()).collect();
        let text = format!(
            "table ip filter {{ set bans {{ type ipv4_addr; elements = {{ {} }}\n}}\n}}\n",
            elements.join(", ")
        );
        std::fs::write(&file, text).unwrap();
        run(&format!("nft -f {}", file.display()));
        let ruleset = read();
        let bans = set(&ruleset, "bans");
        assert_eq!(bans.count, u64::from(COUNT));
        assert!(bans.elements.len() < COUNT as usize);
    });
}

#[test]
fn policies_are_rules_at_position_zero_and_chains_are_in_order() {
    in_namespace(&["nft"], || {
        load(
            "table inet late { chain input { type filter hook input priority 10; policy drop; } }\n\
             table inet early { chain side { accept; } \
             chain input { type filter hook input priority -10; policy accept; jump side; } }\n\
             table ip asleep { flags dormant; \
             chain input { type filter hook input priority -20; policy drop; } }",
        );
        let ruleset = read();
        let seen: Vec<(&str, &str, u32, &str, Option<Hook>)> = ruleset
            .rules
            .iter()
            .map(|rule| {
                (rule.table.as_str(), rule.chain.as_str(), rule.position, rule.text.as_str(), rule.hook)
            })
            .collect();
        let hook = Some(Hook::Input);
        assert_eq!(
            seen,
            [
                ("early", "input", 0, "policy accept", hook),
                ("early", "input", 1, "jump side", hook),
                ("late", "input", 0, "policy drop", hook),
                ("early", "side", 1, "accept", None),
            ]
        );
    });
}

#[test]
fn rules_that_counted_are_found_in_both_machineries() {
    in_namespace(&["nft", "iptables-legacy"], || {
        load(
            "table ip filter { chain input { type filter hook input priority 0; \
             udp dport 9 counter drop; udp dport 10 counter drop; udp dport 9 drop; } }",
        );
        let legacy = attempt("iptables-legacy -A OUTPUT -p udp --dport 9 -j ACCEPT");
        let before = read();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..3 {
            socket.send_to(b"x", "127.0.0.1:9").unwrap();
        }
        let deltas = rule_deltas(&before, &read());
        let nft: Vec<(&str, u64)> = deltas
            .iter()
            .filter(|delta| delta.rule.backend == Backend::Nft)
            .map(|delta| (delta.rule.text.as_str(), delta.packets))
            .collect();
        assert_eq!(nft, [("udp dport 9 drop", 3)]);
        let ruled = |rule: &Rule| rule.backend == Backend::Xtables && rule.position > 0;
        let xtables = deltas.iter().find(|delta| ruled(&delta.rule));
        let expected = legacy.then_some(("-p udp -m udp --dport 9 -j ACCEPT", 3, 1));
        assert_eq!(
            xtables.map(|delta| (delta.rule.text.as_str(), delta.packets, delta.rule.handle)),
            expected
        );
        assert!(before.rules.iter().any(|rule| rule.text == "udp dport 9 drop" && rule.counter.is_none()));
    });
}

#[test]
fn reading_loads_no_table() {
    in_namespace(&["nft"], || {
        let ruleset = read();
        assert_eq!((ruleset.rules.len(), ruleset.sets.len()), (0, 0));
        let names = std::fs::read_to_string("/proc/thread-self/net/ip_tables_names").unwrap_or_default();
        assert_eq!(names, "");
        assert_eq!(output("nft list ruleset"), "");
    });
}

/// As ufw lays out its chains, with a limit by xt_recent.
const UFW: &str = "
for chain in ufw-before-input ufw-user-input ufw-user-limit ufw-after-input; do $I -N $chain; done
$I -P INPUT DROP
$I -A INPUT -j ufw-before-input
$I -A INPUT -j ufw-user-input
$I -A INPUT -j ufw-after-input
$I -A ufw-before-input -i lo -j ACCEPT
$I -A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
$I -A ufw-before-input -m conntrack --ctstate INVALID -j DROP
$I -A ufw-user-input -s 203.0.113.9 -j REJECT
$I -A ufw-user-input -p tcp --dport 22 -m conntrack --ctstate NEW -m recent --set
$I -A ufw-user-input -p tcp --dport 22 -m conntrack --ctstate NEW -m recent --update --seconds 30 --hitcount 6 -j ufw-user-limit
$I -A ufw-user-limit -j REJECT
$I -A ufw-user-input -p tcp -m multiport --dports 80,443 -j ACCEPT
$I -A ufw-user-input -s 10.0.0.0/8 -j ACCEPT
";

#[test]
fn chains_as_ufw_makes_them_are_understood() {
    for tool in ["iptables-nft", "iptables-legacy"] {
        in_namespace(&[tool], move || {
            if !attempt(&format!("{tool} -L -n")) {
                println!("SKIPPED: {tool} does not work with this kernel");
                return;
            }
            run(&UFW.replace("$I", tool));
            let ruleset = read();
            let chain = |name: &str| -> Vec<&Rule> {
                ruleset.rules.iter().filter(|rule| rule.chain == name).collect()
            };
            let policy =
                ruleset.rules.iter().find(|rule| rule.chain == "INPUT" && rule.position == 0).unwrap();
            assert_eq!((&policy.verdict, policy.hook), (&RuleVerdict::Drop, Some(Hook::Input)));
            let jumps: Vec<&RuleVerdict> = input(&ruleset.rules).iter().map(|rule| &rule.verdict).collect();
            let jump = |name: &str| RuleVerdict::Jump(name.into());
            assert_eq!(jumps, [&jump("ufw-before-input"), &jump("ufw-user-input"), &jump("ufw-after-input")]);
            let user = chain("ufw-user-input");
            assert_eq!(user.len(), 5, "{tool}");
            assert_eq!(user[0].matches, [SourceBan]);
            assert_eq!(user[0].verdict, RuleVerdict::Reject("icmp 3/3".into()));
            assert!(user[2].matches.contains(&Rate), "{:?}", user[2]);
            assert!(user[2].matches.contains(&DestinationPort), "{:?}", user[2]);
            assert_eq!(user[2].verdict, jump("ufw-user-limit"));
            assert!(user[3].text.contains("--dports 80,443"), "{}", user[3].text);
            assert_eq!(user[4].matches, [SourceRange]);
            assert!(user.iter().all(|rule| rule.counter.is_some() && rule.hook.is_none()));
            assert_eq!(chain("ufw-before-input")[2].matches, [ConnectionState]);
        });
    }
}

#[test]
fn bans_in_an_ipset_are_bans() {
    in_namespace(&["iptables-nft", "ipset"], || {
        if !attempt("ipset create f2b hash:ip timeout 600") {
            println!("SKIPPED: no ipset in this kernel");
            return;
        }
        run("ipset add f2b 203.0.113.9 && ipset create nets hash:net && ipset add nets 10.0.0.0/8");
        for tool in ["iptables-nft", "iptables-legacy"] {
            run(&format!(
                "{tool} -A INPUT -m set --match-set f2b src -j DROP && \
                 {tool} -A INPUT -m set ! --match-set nets src -j DROP && \
                 {tool} -A INPUT -m set --match-set f2b src,dst -j DROP || true"
            ));
        }
        let ruleset = read();
        for backend in [Backend::Nft, Backend::Xtables] {
            let rules: Vec<&Rule> =
                input(&ruleset.rules).into_iter().filter(|rule| rule.backend == backend).collect();
            assert_eq!(rules[0].matches, [SourceBan], "{backend:?}");
            assert!(rules[0].text.starts_with("-m set --match-set f2b src"), "{}", rules[0].text);
            assert_eq!(rules[1].matches, [SourceRange], "{backend:?}");
        }
        let bans = set(&ruleset, "f2b");
        assert_eq!((bans.family.as_str(), bans.dynamic, bans.count), ("ipset", true, 1));
        assert_eq!(bans.elements, ["203.0.113.9"]);
        assert_eq!(set(&ruleset, "nets").elements, ["10.0.0.0/8"]);
    });
}
