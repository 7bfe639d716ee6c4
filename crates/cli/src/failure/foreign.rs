//! Errors of the other crates: their sentences in Chinese, their hints in both languages.
//!
//! Libraries speak English; what they say is put into Chinese here, where the user's language is known.

use super::{Words, did_you_mean, ends, flows, scan};
use netwhy_ends::{EndError, PlaceError};
use netwhy_lab::LabError;
use netwhy_model::{CaseError, Expect, ExpectError, SAVED_SCHEMA, TargetError};
use netwhy_scan::{CheckpointError, InputError, ScanError};
use netwhy_tls::TlsError;
use std::error::Error;
use std::io::ErrorKind;
use std::sync::Arc;

/// The Chinese sentence of an error known here.
pub(super) fn in_chinese(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(target) = error.downcast_ref::<TargetError>() {
        return Some(of_target(target));
    }
    if let Some(expect) = error.downcast_ref::<ExpectError>() {
        return Some(of_expectation(expect));
    }
    if let Some(case) = error.downcast_ref::<CaseError>() {
        return Some(of_case(case));
    }
    if let Some(lab) = error.downcast_ref::<LabError>() {
        return Some(of_lab(lab));
    }
    if let Some(tls) = error.downcast_ref::<TlsError>() {
        return Some(of_tls(tls));
    }
    if let Some(place) = error.downcast_ref::<PlaceError>() {
        return Some(ends::of_place(place));
    }
    if let Some(end) = error.downcast_ref::<EndError>() {
        return Some(ends::of_end(end));
    }
    if let Some(input) = error.downcast_ref::<InputError>() {
        return Some(scan::of_input(input));
    }
    if let Some(checkpoint) = error.downcast_ref::<CheckpointError>() {
        return Some(scan::of_checkpoint(checkpoint));
    }
    if let Some(refused) = error.downcast_ref::<ScanError>() {
        return Some(scan::of_scan(refused));
    }
    if error.downcast_ref::<std::net::AddrParseError>().is_some() {
        return Some("不是 IP 地址".to_owned());
    }
    #[cfg(feature = "lake")]
    if let Some(said) = super::lake::in_chinese(error) {
        return Some(said);
    }
    flows::in_chinese(error).or_else(|| system_error(error).and_then(of_system))
}

/// What to do about an error known here.
pub(super) fn hint(error: &(dyn Error + 'static)) -> Option<Words> {
    if let Some(target) = error.downcast_ref::<TargetError>() {
        return Some((target.hint(), target_hint(target)).into());
    }
    if let Some(expect) = error.downcast_ref::<ExpectError>() {
        return Some(expectation_hint(expect));
    }
    if let Some(case) = error.downcast_ref::<CaseError>() {
        return Some(case_hint(case));
    }
    if let Some(lab) = error.downcast_ref::<LabError>() {
        return lab.hint().map(|en| (en, lab_hint(lab)).into());
    }
    if error.downcast_ref::<std::net::AddrParseError>().is_some() {
        return Some(("write 203.0.113.7 or 2001:db8::1", "写作 203.0.113.7 或 2001:db8::1").into());
    }
    if let Some(tls) = error.downcast_ref::<TlsError>() {
        return Some(tls_hint(tls));
    }
    if let Some(place) = error.downcast_ref::<PlaceError>() {
        return Some(ends::place_hint(place));
    }
    if let Some(input) = error.downcast_ref::<InputError>() {
        return Some(scan::input_hint(input));
    }
    if let Some(checkpoint) = error.downcast_ref::<CheckpointError>() {
        return Some(scan::checkpoint_hint(checkpoint));
    }
    if let Some(refused) = error.downcast_ref::<ScanError>() {
        return Some(scan::scan_hint(refused));
    }
    if let Some(hint) = error.downcast_ref::<EndError>().and_then(ends::end_hint) {
        return Some(hint);
    }
    #[cfg(feature = "lake")]
    if let Some(hint) = super::lake::hint(error) {
        return Some(hint);
    }
    flows::hint(error).or_else(|| system_hint(system_error(error)?.kind()))
}

/// An error of the operating system, also one that is shared.
fn system_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a std::io::Error> {
    let shared = || error.downcast_ref::<Arc<std::io::Error>>().map(AsRef::as_ref);
    error.downcast_ref::<std::io::Error>().or_else(shared)
}

fn of_target(error: &TargetError) -> String {
    match error {
        TargetError::Empty => "目标为空".to_owned(),
        TargetError::UnknownScheme(scheme, target) => format!("目标 {target:?} 的协议 {scheme:?} 未知"),
        TargetError::Port(port, target) => format!("目标 {target:?} 的端口 {port:?} 不是 1 到 65535 的数字"),
        TargetError::NoPort(target) => format!("目标 {target:?} 没有端口"),
        TargetError::NoHost(target) => format!("目标 {target:?} 没有主机"),
        TargetError::BadName(name, target, why) => {
            format!("目标 {target:?} 中的 {name:?} 不是有效的主机名：{}", reason(why))
        }
        TargetError::BadAddress(address, target) => {
            format!("目标 {target:?} 中的 {address:?} 不是 IPv6 地址")
        }
        TargetError::UserInfo(target) => format!("目标 {target:?} 带有用户名或密码"),
    }
}

fn target_hint(error: &TargetError) -> String {
    match error {
        TargetError::Empty | TargetError::NoHost(_) => {
            "写一个目标，如 https://shop.example/ 或 203.0.113.7:443".to_owned()
        }
        TargetError::UnknownScheme(..) => "可用：https: http: tcp: tls: udp: dns:".to_owned(),
        TargetError::Port(..) => "端口为 1 到 65535；写作 host:443，在 https:// 之后可省略".to_owned(),
        TargetError::NoPort(text) => format!("加上端口，如 {text}:443；或加上协议，如 https://{text}"),
        TargetError::BadName(..) => {
            "域名由点分隔的标签组成，每个标签 1 到 63 个字母、数字、- 或 _，总长不超过 253".to_owned()
        }
        TargetError::BadAddress(..) => "端口之前的 IPv6 地址加方括号：[2001:db8::1]:443".to_owned(),
        TargetError::UserInfo(_) => "目标中不应带凭据；请改用 --header 'Authorization: …'".to_owned(),
    }
}

/// The reasons the model gives as fixed texts.
const REASONS: [(&str, &str); 14] = [
    (
        "it looks like an IPv4 address with a part missing or above 255",
        "像是缺了一段或某段超过 255 的 IPv4 地址",
    ),
    ("it has no IDNA form", "没有对应的 IDNA 形式"),
    ("it is empty or longer than 253 characters", "为空或超过 253 个字符"),
    ("a label is empty or longer than 63 characters", "有标签为空或超过 63 个字符"),
    ("a label has a character other than a letter, a digit, - or _", "标签中有字母、数字、- 与 _ 之外的字符"),
    ("statuses are 100 to 599, such as 200,204", "状态码为 100 到 599，如 200,204"),
    ("a time such as 500ms, 1s or 2.5s", "写时间，如 500ms、1s 或 2.5s"),
    ("a size such as 1000, 64k or 2M", "写大小，如 1000、64k 或 2M"),
    ("one of 1.0, 1.1, 2, 3", "应为 1.0、1.1、2、3 之一"),
    ("one of 1.0, 1.1, 1.2, 1.3", "应为 1.0、1.1、1.2、1.3 之一"),
    ("the text the service must greet with", "写服务的问候语开头"),
    ("ipv4, ipv6 or both, joined by a comma", "写 ipv4、ipv6，或两者以逗号相连"),
    ("IP addresses joined by commas", "写以逗号相连的 IP 地址"),
    ("0 to 1, or 0% to 100%", "写 0 到 1，或 0% 到 100%"),
];

fn reason(why: &'static str) -> &'static str {
    REASONS.iter().find(|(en, _)| *en == why).map_or(why, |(_, zh)| zh)
}

fn of_expectation(error: &ExpectError) -> String {
    match error {
        ExpectError::Form(text) => format!("期望 {text:?} 不是 key=value 的形式"),
        ExpectError::Key(key) => format!("未知的期望 {key:?}"),
        ExpectError::Value(key, value, why) => {
            format!("{value:?} 不是期望 {key:?} 的值：{}", reason(why))
        }
    }
}

fn expectation_hint(error: &ExpectError) -> Words {
    match error {
        ExpectError::Key(key) => did_you_mean(key, Expect::KEYS),
        ExpectError::Form(_) => (
            "write it as in --expect status=200 or --expect max-time=1s",
            "写作 --expect status=200 或 --expect max-time=1s",
        )
            .into(),
        ExpectError::Value(key, ..) => (
            format!("see netwhy diagnose --help for what {key} takes"),
            format!("{key} 可取的值见 netwhy diagnose --help"),
        )
            .into(),
    }
}

fn of_case(error: &CaseError) -> String {
    match error {
        CaseError::Address(text) => format!("{text:?} 不是地址，也不是带端口的地址"),
        CaseError::Header(name) => format!("{name:?} 不是 'Name: value' 形式的请求头"),
        CaseError::Duration(text) => format!("{text:?} 不是时间，如 500ms、15s 或 2m"),
        CaseError::Schema(schema) if schema.is_empty() => "这不是保存的案例：没有 schema".to_owned(),
        CaseError::Schema(schema) => {
            format!("案例的 schema 为 {schema:?}，此版本的 netwhy 读取 {SAVED_SCHEMA:?}")
        }
        CaseError::Json(_) => "保存的案例无法读取".to_owned(),
    }
}

fn case_hint(error: &CaseError) -> Words {
    let pair = match error {
        CaseError::Address(_) => (
            "write 203.0.113.7, 203.0.113.7:8443, 2001:db8::1 or [2001:db8::1]:8443",
            "写作 203.0.113.7、203.0.113.7:8443、2001:db8::1 或 [2001:db8::1]:8443",
        ),
        CaseError::Header(_) => {
            ("write it as in --header 'Accept-Language: zh'", "写作 --header 'Accept-Language: zh'")
        }
        CaseError::Duration(_) => ("write a number with ms, s or m", "写数字加单位 ms、s 或 m"),
        CaseError::Schema(schema) if schema.is_empty() => {
            ("give a file that --save has written", "请给出 --save 写出的文件")
        }
        CaseError::Schema(_) => {
            ("save the case again with --save of this netwhy", "请用此版本的 netwhy 以 --save 重新保存")
        }
        CaseError::Json(_) => ("give a file that --save has written", "请给出 --save 写出的文件"),
    };
    pair.into()
}

fn of_lab(error: &LabError) -> String {
    match error {
        LabError::Scenario { name, why } => format!("场景 {name}：{why}"),
        LabError::Unknown { what, name } => {
            let what = if *what == "topology" { "拓扑" } else { "场景" };
            format!("没有名为 {name:?} 的{what}")
        }
        LabError::Kernel { what, source } => format!("内核拒绝了 {what}：{source}"),
        LabError::Netlink { what, source } => format!("netlink 拒绝了 {what}：{source}"),
        LabError::File { path, source } => {
            let why = of_system(source).unwrap_or_else(|| source.to_string());
            format!("{}：{why}", path.display())
        }
        LabError::Step { step, why } => format!("步骤 {step:?} 失败：{why}"),
        LabError::Service { name, why } => format!("服务 {name}：{why}"),
        LabError::Certificate { name, why } => format!("证书 {name}：{why}"),
        LabError::Inside(why) => why.clone(),
        LabError::Ended(why) => format!("实验进程提前结束：{why}"),
        LabError::Interrupted(signal) => format!("被 {signal} 中止；一切已清除"),
        LabError::NeedsRoot(why) => format!("此内核只允许 root 创建网络命名空间（{why}）"),
    }
}

fn lab_hint(error: &LabError) -> &'static str {
    match error {
        LabError::NeedsRoot(_) => {
            "以 root 运行，或允许用户命名空间：sysctl -w kernel.unprivileged_userns_clone=1（Debian）、\
             sysctl -w kernel.apparmor_restrict_unprivileged_userns=0（Ubuntu）、\
             sysctl -w user.max_user_namespaces=10000"
        }
        LabError::Unknown { .. } => "netwhy lab list 列出全部名称",
        LabError::Scenario { .. } => "格式见 docs/zh/lab.md",
        _ => "",
    }
}

fn of_tls(error: &TlsError) -> String {
    match error {
        TlsError::CaFile(path, _) => format!("无法读取 {path} 中的证书"),
        TlsError::ClientCert(path, _) => format!("无法读取 {path} 中的客户端证书与私钥"),
        TlsError::NoCertificate(path) => format!("文件 {path} 中没有证书"),
        TlsError::NoRoots => "本机未安装受信任的根证书".to_owned(),
        TlsError::Client(_) => "客户端证书与私钥无法使用".to_owned(),
    }
}

fn tls_hint(error: &TlsError) -> Words {
    let pair = match error {
        TlsError::CaFile(..) | TlsError::NoCertificate(_) => {
            ("give a PEM file with lines BEGIN CERTIFICATE", "请给出含 BEGIN CERTIFICATE 行的 PEM 文件")
        }
        TlsError::ClientCert(..) => (
            "one PEM file holds both: BEGIN CERTIFICATE and BEGIN PRIVATE KEY",
            "同一个 PEM 文件中须有 BEGIN CERTIFICATE 与 BEGIN PRIVATE KEY",
        ),
        TlsError::NoRoots => {
            ("install ca-certificates or set SSL_CERT_FILE", "请安装 ca-certificates 或设置 SSL_CERT_FILE")
        }
        TlsError::Client(_) => ("the key must belong to the certificate", "私钥须与证书配对"),
    };
    pair.into()
}

/// The operating system's commonest errors; the others keep its own words.
pub(super) fn of_system(error: &std::io::Error) -> Option<String> {
    let text = match error.kind() {
        ErrorKind::NotFound => "文件或目录不存在",
        ErrorKind::PermissionDenied => "权限不足",
        ErrorKind::IsADirectory => "这是目录，不是文件",
        ErrorKind::NotADirectory => "路径中有一段不是目录",
        ErrorKind::InvalidData => "内容不是 UTF-8 文本",
        ErrorKind::AddrNotAvailable => "该地址不属于本机",
        ErrorKind::NetworkUnreachable => "网络不可达",
        ErrorKind::HostUnreachable => "主机不可达",
        ErrorKind::StorageFull => "磁盘已满",
        _ => return None,
    };
    Some(text.to_owned())
}

/// What to do about an error of the operating system, where that is plain.
fn system_hint(kind: ErrorKind) -> Option<Words> {
    let pair = match kind {
        ErrorKind::NotFound | ErrorKind::NotADirectory => ("check the path", "请检查路径"),
        ErrorKind::PermissionDenied => {
            ("check the rights of the file, or run as another user", "请检查文件权限，或换一个用户运行")
        }
        ErrorKind::IsADirectory => ("give a file, not a folder", "请给出文件，而不是目录"),
        ErrorKind::InvalidData => ("give a text file", "请给出文本文件"),
        ErrorKind::StorageFull => ("make room, or write elsewhere", "请腾出空间，或写到别处"),
        _ => return None,
    };
    Some(pair.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use netwhy_model::{Limits, Origin, SavedCase, Target};

    fn chinese(error: &(dyn Error + 'static)) {
        let said = in_chinese(error).unwrap_or_default();
        let wide = |text: &str| text.chars().any(|c| ('\u{4e00}'..'\u{9fff}').contains(&c));
        assert!(wide(&said), "has no Chinese: {error}");
        let Some(reason) = error.to_string().rsplit_once(": ").map(|(_, reason)| reason.to_owned()) else {
            return;
        };
        assert!(!said.ends_with(&reason), "its reason has no Chinese: {reason}");
    }

    #[test]
    fn every_refusal_of_the_model_has_chinese() {
        for text in [
            "",
            "gopher://a",
            "a:0",
            "tcp://a",
            "https://",
            "https://a b/",
            "10.0.0.300:1",
            "[::1",
            "u:p@h",
            "a..b:1",
            "\u{200d}.example",
        ] {
            let error = text.parse::<Target>().unwrap_err();
            chinese(&error);
            assert!(hint(&error).is_some());
        }
        assert!(!in_chinese(&"u:secret@h".parse::<Target>().unwrap_err()).unwrap().contains("secret"));
        for text in [
            "status",
            "colour=red",
            "status=abc",
            "max-time=x",
            "min-bytes=x",
            "http=9",
            "tls-max=9",
            "banner=",
            "families=x",
            "address=x",
            "success-min=2",
            "loss-max=2",
        ] {
            let error = Expect::default().add(text).unwrap_err();
            chinese(&error);
            assert!(hint(&error).is_some());
        }
        chinese(&Origin::parse("edge").unwrap_err());
        chinese(&Limits::parse_ms("soon").unwrap_err());
        for text in ["{}", "no", "{\"schema\":\"other/1\"}"] {
            chinese(&SavedCase::parse(text).unwrap_err());
        }
    }
}
