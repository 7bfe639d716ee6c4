//! The change that mends a health check, in the words of its balancer.

use super::{Balancer, Check, Health, Kind, Pool};
use crate::estate::Fix;
use crate::place::both;

/// One setting of a check and its new value.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    TimeoutS(f64),
    Fall(u32),
    Rise(u32),
    /// The port of the member itself.
    MemberPort,
    Path(String),
    Host(String),
    Codes(String),
    Protocol(Check),
}

/// The change as a command or as a line of the configuration.
pub fn mend(balancer: &Balancer, pool: &Pool, health: &Health, change: &Change) -> Fix {
    let (syntax, change_text) = match balancer.kind {
        Kind::Nginx => ("nginx", nginx(health, change)),
        Kind::Haproxy => ("haproxy", haproxy(health, change)),
        Kind::AwsApplication | Kind::AwsNetwork | Kind::AwsGateway => ("aws-cli", aws(pool, change)),
        Kind::AwsClassic => ("aws-cli", elb(balancer, health, change)),
        Kind::Gcp => ("gcloud", gcp(health, change)),
        Kind::AliyunClassic => ("aliyun", classic(balancer, change)),
        Kind::AliyunApplication | Kind::AliyunNetwork => ("aliyun", aliyun(balancer, pool, change)),
        Kind::Azure | Kind::Huawei => ("text", format!("{change:?}")),
    };
    let what =
        both(format!("change the health check of {}", pool.name), format!("修改 {} 的健康检查", pool.name));
    Fix { syntax, what, change: change_text }
}

fn nginx(health: &Health, change: &Change) -> String {
    let passive = health.check == Check::Passive;
    // Only the check module writes its request out.
    let module = health.version.is_some() || matches!(health.check, Check::Tcp | Check::Tls);
    let path = health.path.as_deref().unwrap_or("/");
    match change {
        Change::TimeoutS(seconds) if module => format!("check timeout={};", milliseconds(*seconds)),
        Change::TimeoutS(seconds) => format!("proxy_read_timeout {};", whole(*seconds)),
        Change::Fall(count) if passive => format!("server … max_fails={count};"),
        Change::Fall(count) if module => format!("check fall={count};"),
        Change::Fall(count) => format!("health_check fails={count};"),
        Change::Rise(count) if module => format!("check rise={count};"),
        Change::Rise(count) => format!("health_check passes={count};"),
        Change::MemberPort => "health_check; # without port=".to_owned(),
        Change::Path(path) if module => format!("check_http_send \"GET {path} HTTP/1.0\\r\\n\\r\\n\";"),
        Change::Path(path) => format!("health_check uri={path};"),
        Change::Host(host) if module => {
            format!(
                "check_http_send \"GET {path} HTTP/1.1\\r\\nHost: {host}\\r\\nConnection: close\\r\\n\\r\\n\";"
            )
        }
        Change::Host(host) => format!("proxy_set_header Host {host};"),
        Change::Codes(codes) => format!("match well {{ status {codes}; }}"),
        Change::Protocol(Check::Https) => "check type=ssl_hello; # or proxy_pass https://…".to_owned(),
        Change::Protocol(_) => "check type=http;".to_owned(),
    }
}

fn haproxy(health: &Health, change: &Change) -> String {
    let path = health.path.as_deref().unwrap_or("/");
    match change {
        Change::TimeoutS(seconds) => format!("timeout check {}ms", milliseconds(*seconds)),
        Change::Fall(count) => format!("default-server fall {count}"),
        Change::Rise(count) => format!("default-server rise {count}"),
        Change::MemberPort => "server … check # without port".to_owned(),
        Change::Path(path) => format!("http-check send meth GET uri {path}"),
        Change::Host(host) => format!("http-check send meth GET uri {path} ver HTTP/1.1 hdr Host {host}"),
        Change::Codes(codes) => format!("http-check expect status {codes}"),
        Change::Protocol(Check::Https) => "default-server check-ssl verify none".to_owned(),
        Change::Protocol(_) => "default-server no-check-ssl".to_owned(),
    }
}

fn aws(pool: &Pool, change: &Change) -> String {
    let option = match change {
        Change::TimeoutS(seconds) => format!("--health-check-timeout-seconds {}", whole(*seconds)),
        Change::Fall(count) => format!("--unhealthy-threshold-count {count}"),
        Change::Rise(count) => format!("--healthy-threshold-count {count}"),
        Change::MemberPort => "--health-check-port traffic-port".to_owned(),
        Change::Path(path) => format!("--health-check-path {}", shell(path)),
        Change::Codes(codes) => format!("--matcher HttpCode={}", shell(codes)),
        Change::Protocol(check) => format!("--health-check-protocol {}", word(*check)),
        Change::Host(_) => {
            return "# a target group sends no Host header of one's own: serve the path on the default site"
                .to_owned();
        }
    };
    let arn = format!(
        "\"$(aws elbv2 describe-target-groups --names {} --query 'TargetGroups[0].TargetGroupArn' --output text)\"",
        shell(&pool.name)
    );
    format!("aws elbv2 modify-target-group --target-group-arn {arn} {option}")
}

/// A classic balancer's check is set as a whole.
fn elb(balancer: &Balancer, health: &Health, change: &Change) -> String {
    let mut check = health.clone();
    match change {
        Change::TimeoutS(seconds) => check.timeout_s = Some(*seconds),
        Change::Fall(count) => check.fall = Some(*count),
        Change::Rise(count) => check.rise = Some(*count),
        Change::MemberPort => {
            let served = balancer.pools.iter().flat_map(|pool| &pool.members).find_map(|member| member.port);
            check.port = served.or(check.port);
        }
        Change::Path(path) => check.path = Some(path.clone()),
        Change::Protocol(kind) => check.check = *kind,
        Change::Codes(_) => {
            return "# a classic balancer counts nothing but 200: serve 200 on the path".to_owned();
        }
        Change::Host(_) => {
            return "# a classic balancer sends no Host header of one's own: serve the path on the default site"
                .to_owned();
        }
    }
    let path = check.path.as_deref().filter(|_| check.check.speaks_http()).unwrap_or_default();
    let target = format!("{}:{}{path}", word(check.check), check.port.unwrap_or_default());
    format!(
        "aws elb configure-health-check --load-balancer-name {} --health-check \
         Target={},Interval={},Timeout={},UnhealthyThreshold={},HealthyThreshold={}",
        shell(&balancer.name),
        shell(&target),
        whole(check.interval_s.unwrap_or(30.0)),
        whole(check.timeout_s.unwrap_or(5.0)),
        check.fall.unwrap_or(2),
        check.rise.unwrap_or(10)
    )
}

fn gcp(health: &Health, change: &Change) -> String {
    let option = match change {
        Change::TimeoutS(seconds) => format!("--timeout={}s", whole(*seconds)),
        Change::Fall(count) => format!("--unhealthy-threshold={count}"),
        Change::Rise(count) => format!("--healthy-threshold={count}"),
        Change::MemberPort => "--use-serving-port".to_owned(),
        Change::Path(path) => format!("--request-path={}", shell(path)),
        Change::Host(host) => format!("--host={}", shell(host)),
        Change::Codes(_) => return "# Google counts nothing but 200: serve 200 on the path".to_owned(),
        Change::Protocol(check) => {
            return format!("gcloud compute health-checks create {} NAME", word(*check).to_lowercase());
        }
    };
    let kind = word(health.check).to_lowercase();
    format!("gcloud compute health-checks update {kind} NAME {option}")
}

fn aliyun(balancer: &Balancer, pool: &Pool, change: &Change) -> String {
    let product = if balancer.kind == Kind::AliyunNetwork { "nlb" } else { "alb" };
    let group = shell(&pool.name);
    format!(
        "aliyun {product} UpdateServerGroupAttribute --ServerGroupId {group} {}",
        aliyun_option(change, "--HealthCheckConfig.")
    )
}

fn classic(balancer: &Balancer, change: &Change) -> String {
    let name = shell(&balancer.name);
    format!(
        "aliyun slb SetLoadBalancerHTTPListenerAttribute --LoadBalancerId {name} {}",
        aliyun_option(change, "--")
    )
}

fn aliyun_option(change: &Change, before: &str) -> String {
    let (name, value) = match change {
        Change::TimeoutS(seconds) => ("HealthCheckTimeout", whole(*seconds).to_string()),
        Change::Fall(count) => ("UnhealthyThreshold", count.to_string()),
        Change::Rise(count) => ("HealthyThreshold", count.to_string()),
        Change::MemberPort => ("HealthCheckConnectPort", "0".to_owned()),
        Change::Path(path) => ("HealthCheckPath", shell(path)),
        Change::Host(host) => ("HealthCheckHost", shell(host)),
        Change::Codes(codes) => ("HealthCheckCodes.1", shell(codes)),
        Change::Protocol(check) => ("HealthCheckProtocol", word(*check).to_owned()),
    };
    format!("{before}{name} {value}")
}

fn word(check: Check) -> &'static str {
    match check {
        Check::Https => "HTTPS",
        Check::Http => "HTTP",
        Check::Grpc => "GRPC",
        Check::Tls => "SSL",
        _ => "TCP",
    }
}

/// Whole seconds, at least one.
fn whole(seconds: f64) -> u64 {
    seconds.max(1.0) as u64
}

fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1_000.0) as u64
}

/// A word that a shell takes as it is.
fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let shown: String = word.chars().filter(|c| !c.is_control()).collect();
    format!("'{}'", shown.replace('\'', "'\\''"))
}
