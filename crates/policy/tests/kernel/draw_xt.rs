//! Random rule sets as iptables-save writes them.

use super::dice::{Dice, PORTS, Places};

/// One chain that can be drawn for: its table, its name, its own uses.
struct Spot {
    table: &'static str,
    chain: String,
    input: bool,
    output: bool,
    /// How many user chains are before it: it may only call later ones.
    level: usize,
}

const USER_CHAINS: usize = 3;

/// A whole file of iptables-restore.
pub fn draw(dice: &mut Dice, places: &Places) -> String {
    let mut text = String::new();
    let tables: [(&str, &[&str]); 4] = [
        ("raw", &["PREROUTING"]),
        ("mangle", &["PREROUTING", "INPUT", "FORWARD", "POSTROUTING"]),
        ("nat", &["PREROUTING", "INPUT", "POSTROUTING"]),
        ("filter", &["INPUT", "FORWARD"]),
    ];
    for (table, chains) in tables {
        if table == "filter" || dice.percent(60) {
            text.push_str(&draw_table(dice, places, table, chains));
        }
    }
    text
}

fn draw_table(dice: &mut Dice, places: &Places, table: &'static str, chains: &[&str]) -> String {
    let mut head = format!("*{table}\n");
    let mut rules = String::new();
    for chain in chains {
        let policy = if table == "filter" && dice.percent(40) { "DROP" } else { "ACCEPT" };
        head.push_str(&format!(":{chain} {policy} [0:0]\n"));
    }
    for user in 0..USER_CHAINS {
        head.push_str(&format!(":U{user} - [0:0]\n"));
    }
    let mut spots: Vec<Spot> = chains
        .iter()
        .map(|chain| Spot {
            table,
            chain: (*chain).to_owned(),
            input: *chain != "POSTROUTING",
            output: matches!(*chain, "FORWARD" | "POSTROUTING"),
            level: 0,
        })
        .collect();
    spots.extend((0..USER_CHAINS).map(|user| Spot {
        table,
        chain: format!("U{user}"),
        input: true,
        output: true,
        level: user + 1,
    }));
    for spot in &spots {
        let count = if table == "filter" { 3 + dice.below(9) } else { 1 + dice.below(4) };
        for _ in 0..count {
            rules.push_str(&rule(dice, places, spot));
        }
    }
    format!("{head}{rules}COMMIT\n")
}

fn rule(dice: &mut Dice, places: &Places, spot: &Spot) -> String {
    let mut words = format!("-A {}", spot.chain);
    let address = |dice: &mut Dice, side: &[&'static str]| {
        if dice.percent(50) { dice.pick(side) } else { dice.pick(places.networks) }
    };
    if dice.percent(35) {
        let value = address(dice, places.clients);
        words.push_str(&format!("{} -s {value}", dice.maybe_not(" !")));
    }
    if dice.percent(35) {
        let value = address(dice, places.servers);
        words.push_str(&format!("{} -d {value}", dice.maybe_not(" !")));
    }
    if spot.input && dice.percent(15) {
        words.push_str(&format!("{} -i {}", dice.maybe_not(" !"), dice.pick(&["pr0", "pr1", "pr+", "eth0"])));
    }
    if spot.output && dice.percent(15) {
        words.push_str(&format!("{} -o {}", dice.maybe_not(" !"), dice.pick(&["pr0", "pr1", "pr+"])));
    }
    let protocol = protocol(dice, places, &mut words);
    for _ in 0..dice.below(3) {
        if dice.percent(45) {
            words.push_str(&extra(dice, places, spot));
        }
    }
    words.push_str(&target(dice, places, spot, protocol));
    words.push('\n');
    words
}

fn protocol(dice: &mut Dice, places: &Places, words: &mut String) -> &'static str {
    match dice.below(10) {
        0..=3 => {
            words.push_str(" -p tcp");
            if dice.percent(60) {
                words.push_str(&ports(dice, "tcp"));
            }
            if dice.percent(20) {
                let flags = dice.pick(&[
                    "--syn",
                    "--tcp-flags SYN,ACK,FIN,RST SYN",
                    "--tcp-flags ALL NONE",
                    "--tcp-flags SYN,RST SYN,RST",
                    "--tcp-flags ACK ACK",
                    "--tcp-flags FIN,ACK FIN",
                ]);
                words.push_str(&format!(" -m tcp{} {flags}", dice.maybe_not(" !")));
            }
            "tcp"
        }
        4..=5 => {
            words.push_str(" -p udp");
            if dice.percent(60) {
                words.push_str(&ports(dice, "udp"));
            }
            "udp"
        }
        6 => {
            let (name, option, types): (_, _, &[&str]) = if places.six {
                ("ipv6-icmp", "icmp6 --icmpv6-type", &["128", "129", "echo-request", "1", "3"])
            } else {
                ("icmp", "icmp --icmp-type", &["8", "0", "echo-request", "3", "3/0", "11", "13"])
            };
            words.push_str(&format!(" -p {name}"));
            if dice.percent(70) {
                let (module, flag) = option.split_once(' ').expect("two words");
                words.push_str(&format!(" -m {module}{} {flag} {}", dice.maybe_not(" !"), dice.pick(types)));
            }
            "icmp"
        }
        7 => {
            words.push_str(&format!(
                "{} -p {}",
                dice.maybe_not(" !"),
                dice.pick(&["tcp", "udp", "47", "50"])
            ));
            "other"
        }
        _ => "other",
    }
}

fn ports(dice: &mut Dice, protocol: &str) -> String {
    let side = dice.pick(&["d", "d", "d", "s"]);
    let one = dice.pick(&PORTS);
    match dice.below(4) {
        0 => format!(" -m {protocol}{} --{side}port {one}:{}", dice.maybe_not(" !"), one.saturating_add(400)),
        1 => {
            let list = dice.pick(&["80,443", "22,1000:1005", "53,80,81,8080", "1024:30000"]);
            let option = dice.pick(&["--dports", "--sports", "--ports"]);
            format!(" -m multiport{} {option} {list}", dice.maybe_not(" !"))
        }
        _ => format!(" -m {protocol}{} --{side}port {one}", dice.maybe_not(" !")),
    }
}

fn extra(dice: &mut Dice, places: &Places, spot: &Spot) -> String {
    let not = dice.maybe_not(" !");
    match dice.below(9) {
        0..=2 => {
            let states = dice.pick(&[
                "NEW",
                "ESTABLISHED",
                "RELATED,ESTABLISHED",
                "INVALID",
                "NEW,RELATED",
                "UNTRACKED",
                "NEW,UNTRACKED",
                "DNAT",
                "SNAT",
                "NEW,DNAT",
            ]);
            format!(" -m conntrack{not} --ctstate {states}")
        }
        3 => format!(" -m mark{not} --mark {}", dice.pick(&["0x1", "0x2", "0x0/0x1", "0x3", "0x1/0x1"])),
        4 => {
            let option = dice.pick(&["--src-range", "--dst-range"]);
            format!(" -m iprange{not} {option} {}", dice.pick(places.ranges))
        }
        5 => format!(" -m connmark{not} --mark {}", dice.pick(&["0x1", "0x2", "0x0", "0x1/0x1"])),
        6 if places.six => format!(
            " -m hl {} {}",
            dice.pick(&["--hl-eq", "--hl-gt", "--hl-lt"]),
            dice.pick(&["10", "63", "64"])
        ),
        6 => format!(
            " -m ttl {} {}",
            dice.pick(&["--ttl-eq", "--ttl-gt", "--ttl-lt"]),
            dice.pick(&["10", "63", "64"])
        ),
        7 => format!(" -m dscp{not} --dscp {}", dice.pick(&["8", "10", "0"])),
        _ if spot.table != "raw" => {
            let option = dice.pick(&[
                "--ctstatus SEEN_REPLY",
                "--ctstatus CONFIRMED",
                "--ctdir ORIGINAL",
                "--ctdir REPLY",
            ]);
            format!(" -m conntrack {option}")
        }
        _ => format!(" -m mark{not} --mark 0x1"),
    }
}

fn target(dice: &mut Dice, places: &Places, spot: &Spot, protocol: &str) -> String {
    let later = USER_CHAINS - spot.level;
    if later > 0 && dice.percent(22) {
        let to = spot.level + dice.below(later);
        return format!(" -{} U{to}", if dice.percent(25) { "g" } else { "j" });
    }
    if dice.percent(8) {
        return if dice.percent(50) { String::new() } else { " -j RETURN".to_owned() };
    }
    let ports = matches!(protocol, "tcp" | "udp");
    match spot.table {
        "raw" => dice.pick(&[" -j CT --notrack", " -j ACCEPT", " -j DROP", " -j CT --notrack"]).to_owned(),
        "mangle" => mangle(dice).to_owned(),
        "nat" => nat(dice, places, spot, ports),
        _ if dice.percent(15) => reject(dice, places, spot, protocol),
        _ => dice.pick(&[" -j ACCEPT", " -j DROP", " -j ACCEPT"]).to_owned(),
    }
}

fn mangle(dice: &mut Dice) -> &'static str {
    dice.pick(&[
        " -j MARK --set-xmark 0x1/0xffffffff",
        " -j MARK --set-xmark 0x2/0x3",
        " -j MARK --or-mark 0x1",
        " -j MARK --and-mark 0x2",
        " -j CONNMARK --set-xmark 0x1/0xffffffff",
        " -j CONNMARK --save-mark",
        " -j CONNMARK --restore-mark",
        " -j ACCEPT",
        " -j DROP",
        " -j DSCP --set-dscp 10",
    ])
}

fn nat(dice: &mut Dice, places: &Places, spot: &Spot, ports: bool) -> String {
    let bracket = |address: &str, port: &str| match (places.six, port) {
        (true, "") => address.to_owned(),
        (true, port) => format!("[{address}]:{port}"),
        (false, "") => address.to_owned(),
        (false, port) => format!("{address}:{port}"),
    };
    let server = dice.pick(places.translated_servers);
    let client = dice.pick(places.translated_clients);
    match spot.chain.as_str() {
        "PREROUTING" => match dice.below(5) {
            0 if ports => format!(" -j REDIRECT --to-ports {}", dice.pick(&["8080", "22"])),
            1 if ports => format!(" -j DNAT --to-destination {}", bracket(server, "8080")),
            2 if ports => format!(" -j DNAT --to-destination {}", bracket(server, "8080-8090")),
            0..=3 => format!(" -j DNAT --to-destination {server}"),
            _ => " -j ACCEPT".to_owned(),
        },
        "POSTROUTING" => match dice.below(4) {
            0 => " -j MASQUERADE".to_owned(),
            1..=2 => format!(" -j SNAT --to-source {client}"),
            _ => " -j ACCEPT".to_owned(),
        },
        _ => " -j ACCEPT".to_owned(),
    }
}

fn reject(dice: &mut Dice, places: &Places, spot: &Spot, protocol: &str) -> String {
    let user = spot.level > 0;
    if protocol == "tcp" && dice.percent(40) && !user {
        return " -j REJECT --reject-with tcp-reset".to_owned();
    }
    let with = if places.six { "icmp6-port-unreachable" } else { "icmp-port-unreachable" };
    format!(" -j REJECT --reject-with {with}")
}
