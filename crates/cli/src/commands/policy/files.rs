//! Files and folders of rules, read within limits.

use crate::commands::folder::{Folder, gather};
use crate::failure::while_trying;
use crate::{Common, fail, warn};
use anyhow::Result;
use netwhy_policy::doc::FILE_BYTES_MAX;
use netwhy_policy::world::Source;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What this machine's own rules are called.
const LIVE_FOLDER: &str = "this-host";
/// Files read of one folder and all below it.
const FOLDER: Folder = Folder {
    file_count_max: 10_000,
    hint: ("name the files or folders with rules", "请直接指定含规则的文件或目录"),
};
/// All files together, in bytes.
const TOTAL_BYTES_MAX: u64 = 1 << 30;

/// Commands that print this machine's rules, and when they are worth asking. They change nothing.
const LIVE: [(&str, &[&str], &str); 4] = [
    ("nft", &["list", "ruleset"], ""),
    // The legacy tools load the kernel's module when they are asked; a module that is not loaded has no rules.
    ("iptables-legacy-save", &[], "/proc/net/ip_tables_names"),
    ("ip6tables-legacy-save", &[], "/proc/net/ip6_tables_names"),
    ("ipset", &["save"], "/sys/module/ip_set"),
];

/// The files and folders, or without any the rules of this machine.
pub(super) fn sources(paths: &[PathBuf], common: &Common) -> Result<Vec<Source>> {
    if !paths.is_empty() {
        return read(paths);
    }
    let mut sources = Vec::new();
    for (program, words, sign) in LIVE {
        let worth = sign.is_empty()
            || fs::metadata(sign).is_ok_and(|file| file.is_dir())
            || fs::read(sign).is_ok_and(|text| !text.is_empty());
        if !worth {
            continue;
        }
        match Command::new(program).args(words).output() {
            Ok(output) if output.status.success() => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                if !text.trim().is_empty() {
                    sources.push(Source { file: format!("{LIVE_FOLDER}/{program}").into(), text });
                }
            }
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr);
                warn(&format!("{program}: {}", why.lines().next().unwrap_or_default()));
            }
            Err(error) => warn(&format!("{program}: {error}")),
        }
    }
    if sources.is_empty() {
        return Err(fail(
            (
                "no file was given, and this machine has no rules that could be read",
                "未给出文件，且未能读取到本机规则",
            ),
            ("name files or folders with rules, or run as root", "请指定含规则的文件或目录，或以 root 运行"),
        ));
    }
    warn(common.lang.pick("the rules of this machine", "使用本机规则"));
    Ok(sources)
}

/// What is asked of a cluster: kinds that every one has, and kinds that come with add-ons.
const KINDS: [&str; 2] = [
    "namespaces,nodes,pods,deployments,statefulsets,daemonsets,replicasets,jobs,cronjobs,services,endpoints,\
     endpointslices,ingresses,networkpolicies",
    "adminnetworkpolicies,baselineadminnetworkpolicies",
];

/// The objects of the cluster that kubectl reaches; an empty context is its current one.
pub(super) fn cluster(context: &str) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for (at, kinds) in KINDS.iter().enumerate() {
        let mut command = Command::new("kubectl");
        command.args(["get", kinds, "--all-namespaces", "--output=json", "--request-timeout=30s"]);
        if !context.is_empty() {
            command.arg(format!("--context={context}"));
        }
        let output =
            command.output().map_err(|error| while_trying(("running kubectl", "运行 kubectl"), error))?;
        if output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            sources.push(Source {
                file: format!("cluster/{}", if at == 0 { "objects" } else { "policies" }).into(),
                text,
            });
        } else if at == 0 {
            let why = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
            return Err(fail(
                (
                    format!("kubectl could not list the cluster: {why}"),
                    format!("kubectl 无法列出集群对象：{why}"),
                ),
                ("try kubectl get pods --all-namespaces first", "请先试 kubectl get pods --all-namespaces"),
            ));
        }
    }
    Ok(sources)
}

/// Reads files, and every file of folders that may hold rules, by name.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Source>> {
    let mut files = Vec::new();
    for path in paths {
        gather(path, &FOLDER, &mut files)?;
    }
    let mut total = 0;
    let mut sources = Vec::with_capacity(files.len());
    for (path, asked_for) in files {
        match text(&path, &mut total)? {
            Some(text) => sources.push(Source { file: path.to_string_lossy().into(), text }),
            None if asked_for => {
                let name = path.display();
                return Err(fail(
                    (format!("{name} is no text"), format!("{name} 不是文本文件")),
                    (
                        "rules are read as text, JSON or YAML, not compressed",
                        "规则须为文本、JSON 或 YAML，且未压缩",
                    ),
                ));
            }
            None => {}
        }
    }
    Ok(sources)
}

/// One file, whatever it holds.
pub(super) fn one(path: &Path) -> Result<Source> {
    let mut sources = read(std::slice::from_ref(&path.to_path_buf()))?;
    match (sources.pop(), sources.is_empty()) {
        (Some(source), true) => Ok(source),
        _ => Err(fail(
            (format!("{} is a folder", path.display()), format!("{} 是目录", path.display())),
            ("give one file here", "此处请给出单个文件"),
        )),
    }
}

/// A file's text; `None` for what is no text.
fn text(path: &Path, total: &mut u64) -> Result<Option<String>> {
    let name = path.display();
    let trying =
        |error: std::io::Error| while_trying((format!("reading {name}"), format!("读取 {name}")), error);
    let file = fs::File::open(path).map_err(trying)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(trying)?;
    *total += bytes.len() as u64;
    if bytes.len() as u64 > FILE_BYTES_MAX || *total > TOTAL_BYTES_MAX {
        return Err(fail(
            (format!("{name} is too large to read"), format!("{name} 过大，无法读取")),
            (
                "at most 256 MiB a file and 1 GiB in all; give the part with the rules",
                "单个文件最大 256 MiB，总计 1 GiB；请只给出规则部分",
            ),
        ));
    }
    Ok(String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')))
}

/// Tells what the readers did not understand, at most so many lines of it.
pub(super) fn tell_unread(unread: &[netwhy_policy::Unread], lang: netwhy_model::Lang) {
    const LINE_COUNT_MAX: usize = 20;
    for one in unread.iter().take(LINE_COUNT_MAX) {
        warn(&format!("{}: {}: {}", one.place, one.why.get(lang), one.text));
    }
    if unread.len() > LINE_COUNT_MAX {
        let more = unread.len() - LINE_COUNT_MAX;
        warn(&match lang {
            netwhy_model::Lang::En => format!("… and {more} more"),
            netwhy_model::Lang::Zh => format!("……另有 {more} 处"),
        });
    }
}
