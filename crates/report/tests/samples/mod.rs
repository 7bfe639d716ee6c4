//! Verdicts and a catalogue made by hand.
#![allow(dead_code)]

pub mod host;

use netwhy_catalogue::Catalogue;
use netwhy_model::{
    CauseFinding, ChainLink, CouldNotRead, Evidence, FixStep, Lang, Layer, Link, LinkState, NextQuestion,
    Reachability, RuledOut, Stamp, Timing, VERDICT_SCHEMA, Verdict,
};

fn seen(id: &str, fact: &str, value: &str, link: Link, excerpt: &str) -> Evidence {
    let mut seen =
        Evidence::seen(fact, value, link, Stamp::from_millis(1_790_000_000_000), "connect", excerpt);
    seen.id = id.to_owned();
    seen
}

fn link(link: Link, state: LinkState, label: &str) -> ChainLink {
    ChainLink { link, state, label: label.to_owned() }
}

fn finding(id: &str, at: Link, layer: u8, confidence: f64, summary: &str) -> CauseFinding {
    CauseFinding {
        id: id.to_owned(),
        link: at,
        layer: Layer::try_from(layer).unwrap(),
        confidence,
        summary: summary.to_owned(),
        proof: Vec::new(),
        fixes: Vec::new(),
        proven_in_lab: true,
    }
}

fn verdict(target: &str, reachability: Reachability, sentence: &str) -> Verdict {
    Verdict {
        schema: VERDICT_SCHEMA.to_owned(),
        target: target.to_owned(),
        reachability,
        healthy: false,
        sentence: sentence.to_owned(),
        chain: Vec::new(),
        causes: Vec::new(),
        ruled_out: Vec::new(),
        disagreement: None,
        could_not_read: Vec::new(),
        next: Vec::new(),
        evidence: Vec::new(),
        timing_ms: Timing { total: 412 },
    }
}

/// A clear cause: nothing listens.
pub fn refused(lang: Lang) -> Verdict {
    let title = lang.pick("nothing listens on the port", "端口上没有进程在监听");
    let sentence = match lang {
        Lang::En => format!("https://shop.example.test/ cannot be reached: {title} (97 % sure)."),
        Lang::Zh => format!("https://shop.example.test/ 不可达：{title}（把握 97 %）。"),
    };
    let mut cause = finding("tcp.refused.no_listener", Link::Socket, 3, 0.968, title);
    cause.proof = vec!["E4".to_owned(), "E6".to_owned()];
    cause.fixes = vec![
        FixStep {
            kind: "service.start".to_owned(),
            text: lang
                .pick("Start the service and see that it stays up.", "启动服务，并确认其持续运行。")
                .to_owned(),
            command: Some("systemctl start nginx && systemctl --no-pager status nginx".to_owned()),
        },
        FixStep {
            kind: "service.bind".to_owned(),
            text: lang
                .pick("Or make it listen on the port the users ask for.", "或让它监听用户所访问的端口。")
                .to_owned(),
            command: Some("ss -ltnp\nnginx -T | grep listen".to_owned()),
        },
    ];
    Verdict {
        chain: vec![
            link(Link::SourceHost, LinkState::Well, "10.9.0.2"),
            link(Link::Resolver, LinkState::Well, "shop.example.test"),
            link(Link::Path, LinkState::Well, lang.pick("2 hops", "2 跳")),
            link(Link::OriginHost, LinkState::Well, "10.9.2.7"),
            link(Link::Socket, LinkState::Broken, "tcp/443"),
            link(Link::Service, LinkState::Unknown, "https"),
        ],
        causes: vec![cause],
        ruled_out: vec![RuledOut {
            id: "tcp.refused.reset_by_middlebox".to_owned(),
            summary: lang.pick("a device on the path sent the RST", "路径上的设备发出 RST").to_owned(),
            by: vec!["E6".to_owned()],
        }],
        could_not_read: vec![CouldNotRead {
            what: lang.pick("where the SYN dies", "SYN 在哪里消失").to_owned(),
            why: "needs CAP_NET_RAW: run as root or setcap cap_net_raw+ep".to_owned(),
        }],
        evidence: vec![
            seen("E4", "tcp.connect", "refused", Link::Socket, "SYN 10.9.2.7:443 → RST after 0.3 ms, TTL 62"),
            seen(
                "E6",
                "tcp.rst_ttl",
                "same",
                Link::Socket,
                "RST TTL 62, echo reply TTL 62, control port RST TTL 62",
            ),
            Evidence {
                id: "E7".to_owned(),
                ..Evidence::unread("trace.syn", Link::Path, Stamp::default(), "trace", "needs CAP_NET_RAW")
            },
        ],
        ..verdict("https://shop.example.test/", Reachability::Unreachable, &sentence)
    }
}

/// Three causes that share the confidence.
pub fn group() -> Verdict {
    let mut verdict = verdict(
        "tcp://10.9.2.7:5432",
        Reachability::Unreachable,
        "tcp://10.9.2.7:5432 cannot be reached; from here it could be: the host's firewall drops the SYN; or a security \
         group has no rule that admits it; or the answers have no way back (41 % for the first).",
    );
    verdict.chain = vec![
        link(Link::SourceHost, LinkState::Well, "10.9.0.2"),
        link(Link::Path, LinkState::Suspect, ""),
        link(Link::OriginHost, LinkState::Suspect, "10.9.2.7"),
        link(Link::Socket, LinkState::Unknown, "tcp/5432"),
        link(Link::Service, LinkState::Unknown, "tcp"),
    ];
    let fix = |text: &str| {
        vec![FixStep { kind: "firewall.allow".to_owned(), text: text.to_owned(), command: None }]
    };
    verdict.causes = vec![
        finding("policy.hostfw.input", Link::OriginHost, 5, 0.41, "the host's firewall drops the SYN"),
        finding(
            "policy.sg.missing_ingress",
            Link::Path,
            5,
            0.33,
            "a security group has no rule that admits it",
        ),
        finding("net.route.missing_return", Link::OriginHost, 2, 0.2, "the answers have no way back"),
    ];
    verdict.causes[0].fixes = fix("Admit the port in the host's firewall.");
    verdict.causes[1].fixes = fix("Add an ingress rule for the port.");
    verdict.causes[2].proven_in_lab = false;
    verdict.next = vec![NextQuestion {
        ask: "Watch on the server whether the SYN arrives: tcpdump -ni any tcp port 5432".to_owned(),
        splits: vec!["policy.hostfw.input".to_owned(), "policy.sg.missing_ingress".to_owned()],
    }];
    verdict.evidence =
        vec![seen("E3", "tcp.connect", "silent", Link::Socket, "3 SYN to 10.9.2.7:5432, nothing in 3.0 s")];
    verdict.causes[0].proof = vec!["E3".to_owned()];
    verdict
}

/// Nothing wrong.
pub fn healthy() -> Verdict {
    Verdict {
        healthy: true,
        chain: Link::ALL.into_iter().map(|at| link(at, LinkState::Well, "")).collect(),
        ..verdict("dns:a.test", Reachability::Reachable, "dns:a.test is reachable and well.")
    }
}

/// Every text tries to break out.
pub fn hostile() -> Verdict {
    let bad = "\u{1b}[2J</td><script>alert(1)</script><img src=x onerror=alert(1)>\u{202e}\"'&\n";
    let mut verdict = refused(Lang::En);
    verdict.sentence = format!("{bad}{}", verdict.sentence);
    verdict.target = bad.to_owned();
    verdict.chain[0].label = bad.to_owned();
    for cause in &mut verdict.causes {
        (cause.id, cause.summary) = (bad.to_owned(), bad.to_owned());
        cause.fixes[0].command = Some(bad.to_owned());
        cause.fixes[0].text = bad.to_owned();
    }
    verdict.could_not_read[0].why = bad.to_owned();
    verdict.next = vec![NextQuestion { ask: bad.to_owned(), splits: vec![bad.to_owned()] }];
    for seen in &mut verdict.evidence {
        (seen.fact, seen.excerpt) = (bad.to_owned(), bad.to_owned());
        seen.subject = Some(bad.to_owned());
    }
    verdict
}

const FACTS: &str = r#"
[question.connect]
en = "a TCP handshake"
zh = "TCP 握手"
cost_ms = 5
worst_ms = 5
intrusive = 0
privilege = "none"
[fact."tcp.connect"]
en = "the TCP handshake as a user would make it"
zh = "用户视角的 TCP 握手"
link = "socket"
ask = "connect"
values = { open = "always", refused = "never", silent = "never" }
[fact."tcp.rst_ttl"]
en = "the TTL of the RST beside other answers"
zh = "RST 的 TTL 与其他应答的比较"
link = "path"
ask = "connect"
values = { no_rst = "always", same = "rarely", differs = "never" }
"#;

const REFUSED: &str = r#"
id = "tcp.refused.no_listener"
layer = 3
on = ["socket", "origin-host"]
prior = "common"
seen_from = "client"
proven = true
lookalikes = ["tcp.refused.reset_by_middlebox", "tcp.refused.bound_elsewhere"]
[en]
title = "nothing listens on the port"
what = "The host is up and its kernel answers for a closed port."
looks = "A RST comes back within one round trip."
prove = "On the server: ss -ltn"
[zh]
title = "端口上没有进程在监听"
what = "主机在线，内核对关闭的端口做出应答。"
looks = "一个往返之内收到 RST。"
prove = "在服务器上执行：ss -ltn"
[expects]
"tcp.connect" = { refused = "always", open = "never" }
"tcp.rst_ttl" = { same = "usually", differs = "rarely" }
[[fix]]
kind = "service.start"
en = "Start the service."
zh = "启动服务。"
command = "systemctl start nginx"
"#;

const MIDDLEBOX: &str = r#"
id = "tcp.refused.reset_by_middlebox"
layer = 3
on = ["path"]
prior = "uncommon"
seen_from = "path"
[en]
title = "a device on the path sent the RST"
what = "A box between answers in the target's name."
looks = "Its RST has come a shorter way."
prove = "Compare the TTLs."
[zh]
title = "路径上的设备发出 RST"
what = "中间设备冒充目标应答。"
looks = "其 RST 的 TTL 与目标不同。"
prove = "比较 TTL。"
[expects]
"tcp.connect" = { refused = "always" }
"tcp.rst_ttl" = { differs = "usually", same = "rarely" }
"#;

/// A small catalogue of three causes; two of them no client can tell apart.
pub fn catalogue() -> Catalogue {
    let elsewhere = REFUSED
        .replace("\"tcp.refused.no_listener\"", "\"tcp.refused.bound_elsewhere\"")
        .replace("lookalikes = [\"tcp.refused.reset_by_middlebox\", \"tcp.refused.bound_elsewhere\"]", "")
        .replace("nothing listens on the port", "it listens on another address")
        .replace("proven = true", "");
    Catalogue::load([
        ("facts.toml", FACTS),
        ("3/tcp.refused.no_listener.toml", REFUSED),
        ("3/tcp.refused.reset_by_middlebox.toml", MIDDLEBOX),
        ("3/tcp.refused.bound_elsewhere.toml", &elsewhere),
    ])
    .unwrap()
}
