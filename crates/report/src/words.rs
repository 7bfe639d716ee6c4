//! The fixed words of a report, in English and Chinese.

use netwhy_catalogue::{SeenFrom, Word};
use netwhy_model::{CauseFinding, Lang, Layer, Link, LinkState, Outcome, Reachability, Verdict};

/// The name of a link, as a person says it.
pub(crate) const fn link(link: Link, lang: Lang) -> &'static str {
    match link {
        Link::SourceHost => lang.pick("this host", "本机"),
        Link::Resolver => lang.pick("names", "域名解析"),
        Link::Path => lang.pick("path", "路径"),
        Link::Edge => lang.pick("edge", "防护节点"),
        Link::OriginHost => lang.pick("target host", "目标主机"),
        Link::Socket => lang.pick("port", "端口"),
        Link::Service => lang.pick("service", "服务"),
    }
}

/// What a link's state means.
pub(crate) const fn state(state: LinkState, lang: Lang) -> &'static str {
    match state {
        LinkState::Well => lang.pick("well", "正常"),
        LinkState::Ailing => lang.pick("ailing", "异常"),
        LinkState::Broken => lang.pick("broken", "故障"),
        LinkState::Suspect => lang.pick("suspect", "可疑"),
        LinkState::Unknown => lang.pick("not seen", "未见"),
    }
}

/// The name of a layer.
pub(crate) fn layer(layer: Layer, lang: Lang) -> &'static str {
    match layer.number() {
        1 => lang.pick("infrastructure", "基础设施"),
        2 => lang.pick("network", "网络"),
        3 => lang.pick("transport", "传输"),
        4 => lang.pick("application", "应用"),
        _ => lang.pick("security control", "安全控制"),
    }
}

/// Whether the target can be reached.
pub(crate) const fn reachability(reach: Reachability, lang: Lang) -> &'static str {
    match reach {
        Reachability::Reachable => lang.pick("reachable", "可达"),
        Reachability::Unreachable => lang.pick("unreachable", "不可达"),
        Reachability::Inconsistent => lang.pick("reached only at times", "时通时断"),
        Reachability::Undetermined => lang.pick("undetermined", "无法判断"),
    }
}

/// How often.
pub(crate) const fn word(word: Word, lang: Lang) -> &'static str {
    match word {
        Word::Always => lang.pick("always", "总是"),
        Word::Usually => lang.pick("usually", "通常"),
        Word::Sometimes => lang.pick("sometimes", "有时"),
        Word::Rarely => lang.pick("rarely", "很少"),
        Word::Never => lang.pick("never", "从不"),
    }
}

/// How asking ended.
pub(crate) const fn outcome(outcome: Outcome, lang: Lang) -> &'static str {
    match outcome {
        Outcome::NotAsked => lang.pick("not asked", "未询问"),
        Outcome::NoAnswer => lang.pick("no answer", "无应答"),
        Outcome::Answered => lang.pick("answered", "已应答"),
        Outcome::CouldNotAsk => lang.pick("could not ask", "无法询问"),
    }
}

/// Who can prove a cause.
pub(crate) const fn seen_from(seen: SeenFrom, lang: Lang) -> &'static str {
    match seen {
        SeenFrom::Client => lang.pick("a client alone can prove it", "仅凭客户端即可证明"),
        SeenFrom::Server => lang.pick("the destination host itself proves it", "需在目标主机上证明"),
        SeenFrom::Both => lang.pick("both ends must be compared", "需对比两端"),
        SeenFrom::Control => {
            lang.pick("the cloud's or policy's configuration proves it", "需查看云平台或策略配置")
        }
        SeenFrom::Path => lang.pick("a device between the ends proves it", "需由中间设备证明"),
    }
}

/// A confidence from 0 to 1 in whole percent; never 100 and never 0, for nothing is that certain.
pub(crate) fn percent(confidence: f64) -> u8 {
    (confidence * 100.0).round().clamp(1.0, 99.0) as u8
}

/// Where a cause sits, and whether the lab has ever proven it.
pub(crate) fn place(cause: &CauseFinding, lang: Lang) -> String {
    let (at, number, name) = (link(cause.link, lang), cause.layer.number(), layer(cause.layer, lang));
    let lab = match cause.proven_in_lab {
        true => "",
        false => lang.pick("; never proven in the lab", "；尚未在实验室证实"),
    };
    match lang {
        Lang::En => format!("on {at}, layer {number} ({name}){lab}"),
        Lang::Zh => format!("位于{at}，第 {number} 层（{name}）{lab}"),
    }
}

/// How much was seen in how much time.
pub(crate) fn effort(verdict: &Verdict, lang: Lang) -> String {
    let (count, seconds) = (verdict.evidence.len(), verdict.timing_ms.total as f64 / 1_000.0);
    match (lang, count) {
        (Lang::En, 1) => format!("1 fact in {seconds:.2} s"),
        (Lang::En, _) => format!("{count} facts in {seconds:.2} s"),
        (Lang::Zh, _) => format!("{count} 条事实，用时 {seconds:.2} 秒"),
    }
}

/// Why something could not be read; collectors say it in English, and the common reason has its own Chinese.
pub(crate) fn reason(why: &str, lang: Lang) -> String {
    const RAW: &str = "needs CAP_NET_RAW: run as root or setcap cap_net_raw+ep";
    match lang {
        Lang::Zh => why.replace(RAW, "需要 CAP_NET_RAW 权限：以 root 运行，或执行 setcap cap_net_raw+ep"),
        Lang::En => why.to_owned(),
    }
}
