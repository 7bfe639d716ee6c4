//! The configuration file `netwhy.toml`: every key is known, every value is checked where it stands.

use crate::args::{Format, Language, When};
use crate::commands::way::{own_address, rooted};
use crate::failure::while_trying;
use crate::{fail, failure};
use anyhow::Result;
use clap::ValueEnum;
use netwhy_model::{Expect, Header, Limits, Source};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The name of the file, in the working directory or in the user's configuration folder.
const FILE: &str = "netwhy.toml";
/// Largest file read, in bytes.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// The keys a file may have.
pub const KEYS: [&str; 13] = [
    "lang",
    "color",
    "format",
    "budget",
    "resolver",
    "source-address",
    "interface",
    "family",
    "expect",
    "header",
    "health-path",
    "ca-file",
    "client-cert",
];

/// What the file says; unset where it is silent.
#[derive(Debug, Clone, Default)]
pub struct Config {
    pub lang: Option<Language>,
    pub color: Option<When>,
    pub format: Option<Format>,
    pub budget_ms: Option<u64>,
    pub resolver: Vec<SocketAddr>,
    pub source_address: Option<IpAddr>,
    pub interface: Option<String>,
    pub family: Option<u8>,
    pub expect: Vec<String>,
    pub header: Vec<Header>,
    pub health_path: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub client_cert: Option<PathBuf>,
}

/// Reads the file given, else the first one found; none is fine.
pub fn load(given: Option<&Path>) -> Result<Config> {
    let Some(path) = given.map(Path::to_owned).or_else(|| places().into_iter().find(|p| p.is_file())) else {
        return Ok(Config::default());
    };
    let shown = path.display().to_string();
    let asked = |error: std::io::Error| {
        while_trying(
            (format!("cannot read the configuration {shown}"), format!("无法读取配置 {shown}")),
            error,
        )
    };
    let size = std::fs::metadata(&path).map_err(asked)?.len();
    if size > FILE_BYTES_MAX {
        return Err(fail(
            (format!("{shown} has {size} bytes"), format!("{shown} 有 {size} 字节")),
            (format!("at most {FILE_BYTES_MAX} are read"), format!("最多读取 {FILE_BYTES_MAX} 字节")),
        ));
    }
    read(&shown, &std::fs::read_to_string(&path).map_err(asked)?)
}

fn places() -> Vec<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let user = folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")));
    let mut places = vec![PathBuf::from(FILE)];
    places.extend(user.map(|user| user.join("netwhy").join(FILE)));
    places
}

/// Understands the text of a file; an error names line and column.
fn read(file: &str, text: &str) -> Result<Config> {
    let table = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        let at = place(file, text, start);
        fail(
            (format!("{at}: {message}"), format!("{at}：{message}")),
            ("a setting looks like: budget = \"11s\"", "设置的写法如：budget = \"11s\""),
        )
    })?;
    let mut config = Config::default();
    for (key, value) in table.get_ref() {
        let name: &str = key.get_ref();
        if !KEYS.contains(&name) {
            let at = place(file, text, key.span().start);
            return Err(fail(
                (format!("{at}: unknown key {name:?}"), format!("{at}：未知的键 {name:?}")),
                failure::did_you_mean(name, KEYS),
            ));
        }
        config.set(name, value).map_err(|why| {
            let at = place(file, text, value.span().start);
            while_trying((format!("{at}: {name}"), format!("{at}：{name}")), why)
        })?;
    }
    Ok(config)
}

impl Config {
    fn set(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<()> {
        match key {
            "lang" => self.lang = Some(choice(value)?),
            "color" => self.color = Some(choice(value)?),
            "format" => self.format = Some(choice(value)?),
            "budget" => self.budget_ms = Some(Limits::parse_ms(text(value)?)?),
            "resolver" => {
                self.resolver =
                    texts(value)?.into_iter().map(Source::parse_resolver).collect::<Result<_, _>>()?;
            }
            "source-address" => self.source_address = Some(own_address(text(value)?)?),
            "interface" => self.interface = Some(text(value)?.to_owned()),
            "family" => self.family = Some(family(text(value)?)?),
            "expect" => {
                for expectation in texts(value)? {
                    Expect::default().add(expectation)?;
                    self.expect.push(expectation.to_owned());
                }
            }
            "header" => {
                self.header = texts(value)?.into_iter().map(Header::parse).collect::<Result<_, _>>()?
            }
            "health-path" => self.health_path = Some(rooted(text(value)?)?),
            "ca-file" => self.ca_file = Some(text(value)?.into()),
            "client-cert" => self.client_cert = Some(text(value)?.into()),
            _ => return Err(misread(("is known and not read", "此键已知但未读取"))),
        }
        Ok(())
    }
}

/// A value that is not what its key takes.
fn misread(sentence: impl Into<failure::Words>) -> anyhow::Error {
    fail(
        sentence,
        (
            "the flag of the same name says in netwhy diagnose --help what it takes",
            "可取的值见 netwhy diagnose --help 中同名的参数",
        ),
    )
}

fn family(text: &str) -> Result<u8> {
    match text {
        "ipv4" => Ok(4),
        "ipv6" => Ok(6),
        _ => Err(misread((
            format!("{text:?} is neither \"ipv4\" nor \"ipv6\""),
            format!("{text:?} 既不是 \"ipv4\" 也不是 \"ipv6\""),
        ))),
    }
}

fn choice<T: ValueEnum>(value: &Spanned<DeValue<'_>>) -> Result<T> {
    let text = text(value)?;
    T::from_str(text, false).map_err(|_| {
        let known = T::value_variants().iter().filter_map(|v| v.to_possible_value());
        let names: Vec<String> = known.map(|v| v.get_name().to_owned()).collect();
        let names = names.join(", ");
        misread((format!("{text:?} is not one of {names}"), format!("{text:?} 不是 {names} 之一")))
    })
}

fn text<'a>(value: &'a Spanned<DeValue<'_>>) -> Result<&'a str> {
    let found = value.get_ref();
    let kind = found.type_str();
    found.as_str().ok_or_else(|| {
        misread((
            format!("expected a text in quotes, found {kind}"),
            format!("应为引号中的文本，而不是 {kind}"),
        ))
    })
}

/// One text, or an array of them.
fn texts<'a>(value: &'a Spanned<DeValue<'_>>) -> Result<Vec<&'a str>> {
    match value.get_ref().as_array() {
        Some(array) => array.iter().map(text).collect(),
        None => Ok(vec![text(value)?]),
    }
}

/// `file:line:column`, both counted from 1.
fn place(file: &str, text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    format!("{file}:{line}:{column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        failure::sentence(&read("netwhy.toml", text).unwrap_err(), netwhy_model::Lang::En)
    }

    #[test]
    fn reads_every_key() {
        let text = r#"
            lang = "zh"
            color = "never"
            format = "json"
            budget = "5s"
            resolver = ["10.0.0.53", "[::1]:5353"]
            source-address = "10.0.0.9"
            interface = "eth0"
            family = "ipv4"
            expect = ["status=200", "max-time=1s"]
            header = "Accept-Language: zh"
            health-path = "/healthz"
            ca-file = "/etc/ca.pem"
            client-cert = "me.pem"
        "#;
        let config = read("netwhy.toml", text).unwrap();
        assert_eq!(config.budget_ms, Some(5_000));
        assert_eq!(config.resolver.len(), 2);
        assert_eq!(config.header.len(), 1);
        assert_eq!(config.family, Some(4));
        for key in KEYS {
            assert!(text.contains(&format!("{key} = ")), "{key} is tested");
        }
    }

    #[test]
    fn says_where_it_is_wrong() {
        assert_eq!(refused("lang = \"en\"\nbudgt = \"5s\""), "netwhy.toml:2:1: unknown key \"budgt\"");
        assert_eq!(
            refused("budget = 5"),
            "netwhy.toml:1:10: budget: expected a text in quotes, found integer"
        );
        assert!(refused("lang = \"de\"").contains("is not one of en, zh"));
        assert!(refused("expect = [\"statu=200\"]").contains("unknown expectation"));
        assert!(refused("x = ").starts_with("netwhy.toml:1:"));
    }
}
