//! Findings in words: the id, one sentence, what to do, and what it costs to be wrong.

use super::alert::{Alert, BreakIn, Plan, Proof, Technique, Way};
use super::finding::{Finding, Kind};
use super::looks;
use crate::names::Names;
use crate::record::{Action, Address, Flow};
use netwhy_model::Text;

/// The cause in the catalogue.
pub fn id(kind: Kind, way: Way, port: u16) -> String {
    let side = match way {
        Way::In => "inbound",
        Way::Out => "outbound",
    };
    match kind {
        Kind::Guessing => {
            format!("attack.{side}.{}_bruteforce", looks::guessed_service(port).unwrap_or("login"))
        }
        Kind::Scan => format!("attack.{side}.port_scan"),
        Kind::SynFlood => format!("attack.{side}.syn_flood"),
        Kind::UdpFlood => format!("attack.{side}.udp_flood"),
        Kind::HttpFlood => format!("attack.{side}.cc"),
        Kind::Beacon => format!("attack.{side}.beacon"),
        Kind::NewService => "change.new_service_port".into(),
        Kind::Churn => format!("attack.{side}.conntrack_churn"),
    }
}

/// Puts a finding into the contract's words.
pub fn alert(finding: &Finding, names: Option<&Names>) -> Alert {
    let why = sentence(finding);
    let entity = finding.entity.to_string();
    let peers: Vec<String> = finding.peers.iter().map(|peer| peer.to_string()).collect();
    let entity_acts = finding.way == Way::Out || finding.technique != Technique::Distributed;
    let is_victim = finding.way == Way::In
        && (!entity_acts || matches!(finding.kind, Kind::UdpFlood | Kind::Churn | Kind::NewService));
    let (sources, victims) =
        if is_victim { (peers, vec![entity.clone()]) } else { (vec![entity.clone()], peers) };
    let break_in = finding.success.map(|success| BreakIn {
        source: success.source.to_string(),
        host: success.host.to_string(),
        at: success.at_ms / 1000,
        bytes: success.bytes,
        followed_by: None,
    });
    Alert {
        id: id(finding.kind, finding.way, finding.port),
        entity,
        direction: finding.way,
        targets: finding.targets,
        port: finding.port,
        start: finding.start_ms.div_euclid(1000),
        end: finding.end_ms.div_euclid(1000),
        confidence: (finding.confidence * 100.0).round() / 100.0,
        why: why.en,
        why_zh: why.zh,
        technique: finding.technique,
        records: finding.records,
        sources,
        victims,
        proof: finding.proof.iter().map(|flow| proof(flow, names)).collect(),
        break_in,
        cost_if_wrong: cost(finding),
        plan: plan(finding),
        process: None,
        unit: None,
    }
}

/// A record as AWS version 2 writes it.
fn proof(flow: &Flow, names: Option<&Names>) -> Proof {
    let word = |symbol| names.map_or_else(|| "-".to_string(), |names| dash(&names.word(symbol)));
    let action = match flow.action {
        Action::Accept => "ACCEPT",
        Action::Reject => "REJECT",
        Action::Unknown => "-",
    };
    let text = format!(
        "2 {} {} {} {} {} {} {} {} {} {} {} {action} OK",
        word(flow.account),
        word(flow.interface),
        flow.source,
        flow.destination,
        flow.source_port,
        flow.destination_port,
        flow.protocol,
        flow.packets,
        flow.bytes,
        flow.start_ms.div_euclid(1000),
        flow.end_ms.div_euclid(1000),
    );
    Proof {
        file: names.map_or_else(String::new, |names| names.word(flow.file).to_string()),
        offset: flow.offset,
        text,
    }
}

fn dash(word: &str) -> String {
    if word.is_empty() { "-".into() } else { word.chars().filter(|letter| !letter.is_control()).collect() }
}

fn text(en: impl Into<String>, zh: impl Into<String>) -> Text {
    Text { en: en.into(), zh: zh.into() }
}

/// What several sentences say of a finding.
struct Said {
    minutes: i64,
    /// Of a hundred calls.
    failed: f64,
    peer: String,
    /// Before a number that is estimated.
    about: (&'static str, &'static str),
    /// The attacked door, in the words of addresses: without a port where there is none or where there are many.
    own_door: String,
    peer_door: String,
}

impl Said {
    fn of(finding: &Finding) -> Said {
        let peer = finding.peers.first();
        let none = || "-".to_string();
        Said {
            minutes: (finding.end_ms - finding.start_ms) / 60_000 + 1,
            failed: (finding.failed * 100.0).round(),
            about: if finding.is_estimated { ("about ", "约 ") } else { ("", "") },
            own_door: door(finding.entity, finding.port),
            peer_door: peer.map_or_else(none, |peer| door(*peer, finding.port)),
            peer: peer.map_or_else(none, |peer| peer.to_string()),
        }
    }
}

/// An address with its port, where that is known.
fn door(host: Address, port: u16) -> String {
    match (port, host.as_v4()) {
        (0, _) => host.to_string(),
        (_, Some(_)) => format!("{host}:{port}"),
        (_, None) => format!("[{host}]:{port}"),
    }
}

fn sentence(finding: &Finding) -> Text {
    let said = Said::of(finding);
    let mut told = match finding.kind {
        Kind::Guessing => guessing_sentence(finding, &said),
        Kind::Scan => scan_sentence(finding, &said),
        Kind::SynFlood => syn_sentence(finding, &said),
        Kind::UdpFlood => udp_sentence(finding, &said),
        Kind::HttpFlood | Kind::Beacon | Kind::NewService | Kind::Churn => other_sentence(finding, &said),
    };
    if let Some(success) = finding.success {
        told.en += &format!(
            "; then one session at {} moved {} bytes: somebody likely got in",
            success.host, success.bytes
        );
        told.zh +=
            &format!("；随后在 {} 上有一个会话传输了 {} 字节：很可能已被攻入", success.host, success.bytes);
    }
    told
}

fn guessing_sentence(finding: &Finding, said: &Said) -> Text {
    let Finding { entity, targets, port, records, .. } = finding;
    let Said { minutes, failed, about, own_door, .. } = said;
    let service = looks::guessed_service(*port).unwrap_or("login");
    match (finding.way, finding.technique) {
        (_, Technique::Distributed) => text(
            format!(
                "many strangers together made {records} short {service} sessions at {own_door} in {minutes} min, far above its usual"
            ),
            format!("{minutes} 分钟内众多外部地址对 {own_door} 发起 {records} 次短 {service} 会话，远超平时"),
        ),
        (Way::In, _) => text(
            format!(
                "{entity} made {records} short, like {service} attempts at {targets} of our hosts in {minutes} min"
            ),
            format!(
                "{entity} 在 {minutes} 分钟内对我方 {targets} 台主机发起 {records} 次短而雷同的 {service} 登录尝试"
            ),
        ),
        (Way::Out, _) => text(
            format!(
                "{entity} called {}{targets} hosts on port {port} ({service}) {records} times in {minutes} min; {failed} % failed, the rest were short log-in attempts",
                about.0
            ),
            format!(
                "{entity} 在 {minutes} 分钟内向{}{targets} 个主机的 {port} 端口（{service}）发起 {records} 次连接，{failed}% 失败，其余为短登录尝试",
                about.1
            ),
        ),
    }
}

fn scan_sentence(finding: &Finding, said: &Said) -> Text {
    let Finding { entity, targets, records, way, .. } = finding;
    let Said { minutes, failed, peer, about, .. } = said;
    let way = *way;
    match finding.technique {
        Technique::Vertical => text(
            format!(
                "{entity} tried {}{targets} ports of {peer}{} in {minutes} min, {failed} % in vain",
                about.0,
                ours(way).0
            ),
            format!(
                "{entity} 在 {minutes} 分钟内探测{} {peer} 的{}{targets} 个端口，{failed}% 失败",
                ours(way).1,
                about.1
            ),
        ),
        _ => text(
            format!(
                "{entity} tried {}{targets} different targets{} in {minutes} min ({records} records), {failed} % in vain",
                about.0,
                ours(way).0
            ),
            format!(
                "{entity} 在 {minutes} 分钟内探测{}{}{targets} 个不同目标（{records} 条记录），{failed}% 失败",
                ours(way).1,
                about.1
            ),
        ),
    }
}

fn syn_sentence(finding: &Finding, said: &Said) -> Text {
    let Finding { entity, records, .. } = finding;
    let Said { minutes, own_door, peer_door, .. } = said;
    match finding.way {
        Way::In => text(
            format!(
                "{records} connections to {own_door} began and never carried data within {minutes} min, far above its usual"
            ),
            format!("{minutes} 分钟内有 {records} 个到 {own_door} 的连接只有握手没有数据，远超平时"),
        ),
        Way::Out => text(
            format!(
                "{entity} sent {records} records of nothing but SYN packets to {peer_door} in {minutes} min"
            ),
            format!("{entity} 在 {minutes} 分钟内向 {peer_door} 发送了 {records} 条只有 SYN 的记录"),
        ),
    }
}

fn other_sentence(finding: &Finding, said: &Said) -> Text {
    let Finding { entity, port, records, .. } = finding;
    let Said { minutes, failed, own_door, peer_door, .. } = said;
    match finding.kind {
        Kind::HttpFlood => text(
            format!("{own_door} took {records} calls in {minutes} min, more than five times its busy hours"),
            format!("{own_door} 在 {minutes} 分钟内收到 {records} 次请求，超过其繁忙时段的五倍"),
        ),
        Kind::Beacon => text(
            format!(
                "{entity} called {peer_door} {records} times, {} % of them about {:.0} s apart, and hardly any other host of ours does",
                100.0 - failed,
                finding.interval_s
            ),
            format!(
                "{entity} 访问 {peer_door} 共 {records} 次，{}% 的间隔约为 {:.0} 秒，而我方几乎没有其他主机访问它",
                100.0 - failed,
                finding.interval_s
            ),
        ),
        Kind::NewService => text(
            format!("{entity} began to serve strangers on port {port}, where nothing answered before"),
            format!("{entity} 开始在此前无人应答的 {port} 端口上为外部地址提供服务"),
        ),
        _ => text(
            format!(
                "{entity} had {records} new connections in {minutes} min, more than eight times its busy hours: its connection table may overflow"
            ),
            format!(
                "{entity} 在 {minutes} 分钟内新建 {records} 个连接，超过其繁忙时段的八倍，连接跟踪表可能溢出"
            ),
        ),
    }
}

fn ours(way: Way) -> (&'static str, &'static str) {
    match way {
        Way::In => (" of ours", "我方"),
        Way::Out => ("", ""),
    }
}

fn udp_sentence(finding: &Finding, said: &Said) -> Text {
    let Finding { entity, port, records, .. } = finding;
    let Said { minutes, peer, .. } = said;
    match (finding.way, finding.technique) {
        (Way::In, Technique::Amplification) => text(
            format!(
                "{entity} received {records} records of UDP answers it never asked for in {minutes} min: amplification with its address forged"
            ),
            format!("{entity} 在 {minutes} 分钟内收到 {records} 条未曾请求的 UDP 应答：伪造其地址的放大攻击"),
        ),
        (Way::In, _) => text(
            format!(
                "{entity} received {records} records of UDP in {minutes} min, far above its usual, and hardly answered"
            ),
            format!("{entity} 在 {minutes} 分钟内收到 {records} 条 UDP 记录，远超平时且几乎没有应答"),
        ),
        (Way::Out, Technique::Amplification) => {
            let (with_port, of_port) = match port {
                0 => (String::new(), String::new()),
                port => (format!(" with port {port}"), format!("{port} 端口的 ")),
            };
            text(
                format!(
                    "{entity} takes part in amplification: {records} records of UDP{with_port}, most of them to {peer}, in {minutes} min"
                ),
                format!(
                    "{entity} 参与放大攻击：{minutes} 分钟内有 {records} 条{of_port}UDP 记录，主要发往 {peer}"
                ),
            )
        }
        (Way::Out, _) => text(
            format!(
                "{entity} sent {records} records of UDP, most of them to {peer}, in {minutes} min and hardly got an answer"
            ),
            format!("{entity} 在 {minutes} 分钟内发送 {records} 条 UDP 记录，主要发往 {peer}，几乎没有应答"),
        ),
    }
}

fn cost(finding: &Finding) -> Text {
    match (finding.kind, finding.way) {
        (Kind::NewService, _) => text(
            "closing the port breaks a service that was rolled out on purpose",
            "若为正常上线，关闭该端口会中断新服务",
        ),
        (Kind::Beacon, _) => text(
            "blocking the address stops an agent or an updater that works as meant",
            "若为正常代理或更新程序，封禁该地址会使其停止工作",
        ),
        (Kind::Guessing | Kind::Scan, Way::In) => text(
            "blocking the stranger locks out a customer, a partner's monitoring or a hired tester",
            "若判断错误，封禁会挡住客户、合作方监控或受雇的安全测试",
        ),
        (_, Way::In) => text(
            "limiting the door slows real visitors during a rush",
            "若只是正常流量高峰，限速会拖慢真实访客",
        ),
        (_, Way::Out) => text(
            "isolating the host stops what it legitimately does; not isolating it gets the provider's block on the whole account",
            "若判断错误，隔离主机会中断其正常业务；而不隔离则可能被云厂商封禁整个账号",
        ),
    }
}

fn plan(finding: &Finding) -> Plan {
    let Finding { entity, port, .. } = finding;
    let peer = finding.peers.first().map_or_else(|| "-".to_string(), |peer| peer.to_string());
    let (own_door, any) = (door(*entity, *port), *port == 0);
    let (door_en, door_zh) = if any {
        (String::new(), String::new())
    } else {
        (format!(" on port {port}"), format!("的 {port} 端口"))
    };
    let (stop, limit) = match (finding.kind, finding.way) {
        (Kind::NewService, _) => (
            text(
                format!("find the process that listens on {own_door}; stop it unless somebody claims it"),
                format!("查明 {own_door} 上监听的进程，无人认领则停止"),
            ),
            text(
                format!("close port {port} in the security group until then"),
                format!("在此之前于安全组关闭 {port} 端口"),
            ),
        ),
        (Kind::Scan | Kind::Guessing, Way::In) if finding.technique != Technique::Distributed => (
            text(
                format!("block {entity} at the network ACL or the host's firewall"),
                format!("在网络 ACL 或主机防火墙封禁 {entity}"),
            ),
            text(
                format!("allow log-ins{door_en} only from known addresses, with keys only"),
                format!("仅允许已知地址访问{door_zh}，且只用密钥登录"),
            ),
        ),
        (_, Way::In) => (
            text("ask the provider for scrubbing if the line is full", "若链路被打满，请云厂商清洗流量"),
            text(
                format!("limit new connections to {entity}{door_en} for each source; keep SYN cookies on"),
                format!("对到 {entity}{door_zh}的新连接按来源限速，并保持 SYN cookie 开启"),
            ),
        ),
        (_, Way::Out) => (
            text(
                format!(
                    "find the process on {entity} that calls {peer}{door_en}, stop it, and look how it got there"
                ),
                format!("在 {entity} 上找到访问 {peer}{door_zh}的进程，停止它并查明来源"),
            ),
            text(
                format!("let {entity} out only to what it needs; drop the rest{door_en}"),
                format!("仅放行 {entity} 必需的出站访问，其余{door_zh}出站全部丢弃"),
            ),
        ),
    };
    let keep = vec![
        text(
            "keep these records and a snapshot of the disk before anything is cleaned",
            "清理前先保留这些日志与磁盘快照",
        ),
        text(
            format!("keep the authentication log and the process list of {entity}"),
            format!("保留 {entity} 的认证日志与进程列表"),
        ),
    ];
    Plan { stop: vec![stop], limit: vec![limit], keep }
}
