//! What goes wrong with a scan: the sentences in Chinese, the hints in both languages.

use super::{Words, did_you_mean};
use netwhy_catalogue::nearest;
use netwhy_scan::{CheckpointError, CheckpointFault, InputError, InputFault, Protocol, ScanError, services};

/// The Chinese sentence about a target, a port list or a shard.
pub(super) fn of_input(error: &InputError) -> String {
    let fault = match &error.fault {
        InputFault::EmptyTarget => "目标为空",
        InputFault::NotATarget => "不是地址、范围、地址块或域名",
        InputFault::NameInRange => "此处需要地址，而不是域名",
        InputFault::NotAPrefix { .. } => "不是前缀长度",
        InputFault::FamiliesMixed => "范围的两端不是同一地址族",
        InputFault::HostsReversed | InputFault::PortsReversed => "范围颠倒",
        InputFault::Scoped => "地址带有区域标识",
        InputFault::NoHost => "未指定、组播或广播地址，没有单个主机应答",
        InputFault::TooManyHosts { count_max } => return format!("{}：多于 {count_max} 个地址", error.place),
        InputFault::NoHostLeft => "排除后没有剩下地址",
        InputFault::EmptyExclusion => "排除项为空",
        InputFault::EmptyPort => "端口为空",
        InputFault::NotAPort => "不是端口、范围或服务名",
        InputFault::PortZero => "端口 0 无法询问",
        InputFault::PortTooHigh => "没有这样的端口",
        InputFault::UnknownService => "未知的服务名",
        InputFault::NoPortLeft => "排除后没有剩下端口",
        InputFault::NotATop { .. } => "不是端口个数",
        InputFault::NotAShard => "不是整体的一部分",
    };
    format!("{}：{fault}", error.place)
}

/// What to write instead.
pub(super) fn input_hint(error: &InputError) -> Words {
    let zh = match &error.fault {
        InputFault::EmptyTarget => "写域名、地址、范围或地址块",
        InputFault::NotATarget => "如 10.0.0.1、10.0.0.1-9、10.0.0.0/24、2001:db8::/120 或域名",
        InputFault::NameInRange => "范围与地址块由地址组成",
        InputFault::NotAPrefix { length_max } => return both(error, format!("写 0 到 {length_max} 的数字")),
        InputFault::FamiliesMixed => "两端都用 IPv4，或都用 IPv6",
        InputFault::HostsReversed => "先写较小的地址",
        InputFault::Scoped => "去掉区域标识，用 --interface 指定网卡",
        InputFault::NoHost => "请去掉它",
        InputFault::TooManyHosts { .. } => "用更长的前缀，或列出在用的地址",
        InputFault::NoHostLeft | InputFault::NoPortLeft => "少排除一些",
        InputFault::EmptyExclusion => "写出要排除的内容，或去掉该参数",
        InputFault::EmptyPort => "如 22,80-90,https",
        InputFault::NotAPort => "如 22、80-90、https 或 all",
        InputFault::PortZero | InputFault::PortTooHigh => "端口为 1 到 65535",
        InputFault::PortsReversed => "先写较小的端口",
        InputFault::UnknownService => return near_service(error),
        InputFault::NotATop { count_max } => return both(error, format!("写 1 到 {count_max} 的数字")),
        InputFault::NotAShard => "写作 I/N，如 1/4 表示四份中的第一份",
    };
    both(error, zh.to_owned())
}

fn both(error: &InputError, zh: String) -> Words {
    (error.fault.hint(), zh).into()
}

/// A service whose name is near the one written, else its number is asked for.
fn near_service(error: &InputError) -> Words {
    let written = error.place.rsplit(' ').next().unwrap_or_default();
    let mut known: Vec<&str> = services::names(Protocol::Tcp).chain(services::names(Protocol::Udp)).collect();
    known.sort_unstable();
    match nearest(written, known.iter().copied()) {
        Some(near) => did_you_mean(written, [near]),
        None => both(error, "请写端口号".to_owned()),
    }
}

/// The Chinese sentence about a checkpoint.
pub(super) fn of_checkpoint(error: &CheckpointError) -> String {
    let system =
        |source: &std::io::Error| super::foreign::of_system(source).unwrap_or_else(|| source.to_string());
    let fault = match &error.fault {
        CheckpointFault::Unread(source) => format!("无法读取：{}", system(source)),
        CheckpointFault::Unwritten(source) => format!("无法写入：{}", system(source)),
        CheckpointFault::Foreign => "不是扫描的检查点".to_owned(),
        CheckpointFault::Version(version) => format!("格式 {version} 是此版本不认识的"),
        CheckpointFault::Torn => "已残缺：没有写完，或被改动过".to_owned(),
        CheckpointFault::OtherPlan => "属于另一次扫描：主机、端口、协议、分片或种子不同".to_owned(),
    };
    format!("检查点 {}：{fault}", error.path.display())
}

/// What to do about a checkpoint.
pub(super) fn checkpoint_hint(error: &CheckpointError) -> Words {
    let zh = match error.fault {
        CheckpointFault::Unread(_) | CheckpointFault::Foreign => "请给出 --checkpoint 写出的文件",
        CheckpointFault::Unwritten(_) => "请腾出空间，或用 --checkpoint 指定别处",
        CheckpointFault::Version(_) => "请重新开始，或用写出它的版本继续",
        CheckpointFault::Torn => "请重新扫描；此文件无法说明已询问过什么",
        CheckpointFault::OtherPlan => "不写主机与端口即可沿用它自己的，或去掉 --resume 重新开始",
    };
    (error.fault.hint(), zh).into()
}

/// The Chinese sentence about a scan that could not run.
pub(super) fn of_scan(error: &ScanError) -> String {
    match error {
        ScanError::Input { place, problem, .. } => format!("{place}：{}", translated(problem)),
        ScanError::Privilege { what, privilege } => format!("{} 需要 {privilege}", translated(what)),
        ScanError::NoRoute { host, reason } => format!("没有去往 {host} 的路由：{reason}"),
        ScanError::InterfaceDown { name, asked } => format!("网卡 {name} 在 {asked} 次询问后停用"),
        ScanError::Checkpoint { path, problem } => format!("检查点 {} 无法使用：{problem}", path.display()),
        ScanError::System { doing, .. } => format!("系统拒绝了扫描所需的操作（{doing}）"),
    }
}

/// What to do about a scan that could not run.
pub(super) fn scan_hint(error: &ScanError) -> Words {
    match error {
        ScanError::Input { hint, .. } => (hint.clone(), translated(hint)).into(),
        ScanError::Privilege { .. } => (
            "run as root, setcap cap_net_raw+ep on netwhy, or leave --raw out",
            "以 root 运行，或对 netwhy 执行 setcap cap_net_raw+ep，或去掉 --raw",
        )
            .into(),
        ScanError::NoRoute { host, .. } => {
            (format!("look at: ip route get {host}"), format!("请看：ip route get {host}")).into()
        }
        ScanError::InterfaceDown { name, .. } => (
            format!("look at: ip link show {name}; a checkpoint lets the scan go on"),
            format!("请看：ip link show {name}；有检查点即可继续扫描"),
        )
            .into(),
        ScanError::Checkpoint { .. } => ("start again without --resume", "去掉 --resume 重新开始").into(),
        ScanError::System { .. } => {
            ("leave --raw out, lower --rate, or free some memory", "去掉 --raw、降低 --rate，或释放一些内存")
                .into()
        }
    }
}

/// What the engines say of a plan they cannot run, in Chinese.
const REFUSALS: &[(&str, &str)] = &[
    ("the raw engine", "原始报文引擎"),
    ("more than one scan keeps in mind", "超出一次扫描所能记住的数量"),
    ("cut it with --shard", "用 --shard 分成几份"),
    ("cut the hosts into several scans", "把主机分成几次扫描"),
    ("there is no such interface", "没有这样的网卡"),
    ("see ip link", "ip link 可列出"),
];

fn translated(english: &str) -> String {
    let known = REFUSALS.iter().find(|(known, _)| *known == english);
    known.map_or_else(|| format!("扫描引擎报告“{english}”"), |(_, chinese)| (*chinese).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_one_letter_off_is_found() {
        let error = InputError { place: "--ports htpps".into(), fault: InputFault::UnknownService };
        let hint = input_hint(&error);
        assert_eq!(
            (hint.0.en.as_str(), hint.0.zh.as_str()),
            ("did you mean \"https\"?", "是否想写 \"https\"？")
        );
    }
}
