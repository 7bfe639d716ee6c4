//! What stands in front of instances: classic balancers, rules of listeners, autoscaling groups; and instances with
//! several interfaces.

use crate::estates::{BALANCER, BASE, OPEN, TO_INTERNET, ask_of, end, fixes, is};
use netwhy_policy::aws::Aws;
use netwhy_policy::can::{Answer, Verdict, can};
use netwhy_policy::estate::{Ask, Estate, Request};

fn ask_listings(files: &[(&str, &str)], from: &str, to: &str, port: u16) -> Answer {
    let files: Vec<_> = files.iter().map(|(name, text)| ((*name).into(), *text)).collect();
    let estates: Vec<Box<dyn Estate>> = vec![Box::new(Aws::read(&files))];
    can(&estates, &Ask { from: end(from), to: end(to), protocol: 6, port: Some(port), request: None })
}

const CLASSIC: &str = r#"
resource "aws_elb" "old" {
  name            = "old"
  subnets         = [aws_subnet.a.id]
  security_groups = [aws_security_group.lb.id]
  instances       = [aws_instance.db.id]
  listener {
    lb_port           = 443
    lb_protocol       = "https"
    instance_port     = 5432
    instance_protocol = "http"
  }
  health_check {
    target              = "HTTP:5432/health"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}
"#;

/// The groups of the other balancer's case, without that balancer.
fn classic(text: &str) -> String {
    let start = BALANCER.find("resource \"aws_security_group\" \"lb\"").expect("its group");
    let end = BALANCER.find("resource \"aws_lb_target_group\" \"t\"").expect("its targets");
    let rest = BALANCER.find("resource \"aws_security_group\" \"db\"").expect("the targets' group");
    let web = BALANCER.get(rest..).unwrap_or_default();
    format!("{}{web}{text}", BALANCER.get(start..end).unwrap_or_default())
}

#[test]
fn a_classic_balancer_leads_to_its_instances() {
    let into =
        |text: &str, port| ask_of(&[BASE, TO_INTERNET, &classic(text)], "outside", "old", 6, Some(port));
    is(&into(CLASSIC, 443), Verdict::Allowed);
    is(&into(CLASSIC, 80), Verdict::Denied);
    let answer = into(&CLASSIC.replace("HTTP:5432/health", "TCP:9000"), 443);
    is(&answer, Verdict::Denied);
    assert!(answer.blockers.iter().all(|one| one.place.file.as_ref() == "main.tf"), "{answer:#?}");
    let attached = CLASSIC.replace("  instances       = [aws_instance.db.id]\n", "")
        + "resource \"aws_elb_attachment\" \"d\" {\n  elb      = aws_elb.old.id\n  instance = aws_instance.db.id\n}\n";
    is(&into(&attached, 443), Verdict::Allowed);
}

const RULES: &str = r#"
resource "aws_lb_target_group" "api" {
  port     = 9000
  protocol = "HTTP"
  vpc_id   = aws_vpc.v.id
}
resource "aws_lb_target_group_attachment" "api" {
  target_group_arn = aws_lb_target_group.api.arn
  target_id        = aws_instance.db.id
}
resource "aws_lb_listener_rule" "api" {
  listener_arn = aws_lb_listener.s.arn
  priority     = 10
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api.arn
  }
  condition {
    path_pattern { values = ["/api/*"] }
  }
}
"#;

#[test]
fn a_rule_of_a_listener_that_leads_nowhere_makes_the_answer_depend_on_the_request() {
    let into =
        |rules: &str| ask_of(&[BASE, TO_INTERNET, BALANCER, rules], "203.0.113.9", "front", 6, Some(443));
    let answer = into(RULES);
    is(&answer, Verdict::Depends);
    let why = &answer.depends[0].why.en;
    assert!(why.contains("path-pattern /api/*") && why.contains("security groups"), "{why}");
    is(&into(&RULES.replace("port     = 9000", "port     = 5432")), Verdict::Allowed);
    // A condition on the client alone is worked out: this one's requests all go there, others' never.
    let by_client = |net: &str| {
        into(&RULES.replace(
            "path_pattern { values = [\"/api/*\"] }",
            &format!("source_ip {{ values = [\"{net}\"] }}"),
        ))
    };
    is(&by_client("203.0.113.0/24"), Verdict::Denied);
    is(&by_client("198.51.100.0/24"), Verdict::Allowed);
}

#[test]
fn a_known_request_goes_where_the_rules_of_a_listener_send_it() {
    let more = RULES.replace(
        "path_pattern { values = [\"/api/*\"] }",
        "path_pattern { values = [\"/api/*\", \"/v?/\"] }\n  }\n  condition {\n    host_header { values = [\"*.example.com\"] }",
    );
    let files = [BASE, TO_INTERNET, BALANCER, more.as_str()].concat();
    let estates: Vec<Box<dyn Estate>> = vec![Box::new(Aws::read(&[("main.tf".into(), files.as_str())]))];
    let ask = |host: &str, path: &str| {
        let request = Some(Request { host: host.to_owned(), path: path.to_owned() });
        let (from, to) = (end("203.0.113.9"), end("front"));
        can(&estates, &Ask { from, to, protocol: 6, port: Some(443), request })
    };
    // The api's port is shut at its instances, the other target group's is open.
    is(&ask("shop.EXAMPLE.com", "/api/orders"), Verdict::Denied);
    is(&ask("shop.example.com", "/v2/"), Verdict::Denied);
    is(&ask("shop.example.com", "/API/orders"), Verdict::Allowed);
    is(&ask("shop.example.com", "/v10/"), Verdict::Allowed);
    is(&ask("example.com", "/api/orders"), Verdict::Allowed);
}

const SCALING: &str = r#"
resource "aws_launch_template" "t" {
  name                   = "worker"
  vpc_security_group_ids = [aws_security_group.db.id]
}
resource "aws_autoscaling_group" "workers" {
  name                = "workers"
  vpc_zone_identifier = [aws_subnet.b.id]
  launch_template { id = aws_launch_template.t.id }
}
resource "aws_autoscaling_attachment" "w" {
  autoscaling_group_name = aws_autoscaling_group.workers.name
  lb_target_group_arn    = aws_lb_target_group.t.arn
}
"#;

#[test]
fn instances_that_an_autoscaling_group_makes_are_targets() {
    let start = BALANCER.find("resource \"aws_lb_target_group_attachment\"").expect("its target");
    let length = BALANCER[start..].find("\n}\n").expect("its end") + 3;
    let without = format!("{}{}", &BALANCER[..start], &BALANCER[start + length..]);
    let into = |more: &str| ask_of(&[BASE, TO_INTERNET, &without, more], "outside", "front", 6, Some(443));
    is(&into(""), Verdict::Depends);
    is(&into(SCALING), Verdict::Allowed);
    let inline = SCALING
        .replace("  name                = \"workers\"", "  target_group_arns = [aws_lb_target_group.t.arn]");
    let inline = &inline[..inline.find("resource \"aws_autoscaling_attachment\"").expect("it")];
    is(&into(inline), Verdict::Allowed);
    let closed = SCALING.replace("aws_security_group.db.id", "aws_security_group.lb.id");
    is(&into(&closed), Verdict::Denied);
    // It can be asked for by itself.
    let asked = |text: &str| {
        ask_of(&[BASE, OPEN, text], "aws_instance.web", "aws_autoscaling_group.workers", 6, Some(22))
    };
    let own = &SCALING[..SCALING.find("resource \"aws_autoscaling_attachment\"").expect("it")];
    is(&asked(own), Verdict::Allowed);
}

const VPC: &str = r#"{"Vpcs":[{"VpcId":"vpc-1","CidrBlock":"10.0.0.0/16"}],
"Subnets":[{"SubnetId":"subnet-a","VpcId":"vpc-1","CidrBlock":"10.0.1.0/24","AvailabilityZone":"z1"},
           {"SubnetId":"subnet-b","VpcId":"vpc-1","CidrBlock":"10.0.2.0/24","AvailabilityZone":"z1"}],
"InternetGateways":[{"InternetGatewayId":"igw-1","Attachments":[{"VpcId":"vpc-1"}]}],
"RouteTables":[{"RouteTableId":"rtb-1","VpcId":"vpc-1","Associations":[{"Main":true}],"Routes":[
  {"DestinationCidrBlock":"10.0.0.0/16","GatewayId":"local"},{"DestinationCidrBlock":"0.0.0.0/0","GatewayId":"igw-1"}]}],
"SecurityGroups":[
 {"GroupId":"sg-lb","VpcId":"vpc-1","IpPermissions":[{"IpProtocol":"tcp","FromPort":443,"ToPort":443,"IpRanges":[{"CidrIp":"0.0.0.0/0"}]}],
  "IpPermissionsEgress":[{"IpProtocol":"-1","IpRanges":[{"CidrIp":"0.0.0.0/0"}]}]},
 {"GroupId":"sg-app","VpcId":"vpc-1","IpPermissions":[{"IpProtocol":"tcp","FromPort":8080,"ToPort":8080,"UserIdGroupPairs":[{"GroupId":"sg-lb"}]}],
  "IpPermissionsEgress":[{"IpProtocol":"-1","IpRanges":[{"CidrIp":"0.0.0.0/0"}]}]},
 {"GroupId":"sg-shut","VpcId":"vpc-1","IpPermissions":[],"IpPermissionsEgress":[]}],
"Reservations":[{"Instances":[
 {"InstanceId":"i-1","State":{"Name":"running"},"NetworkInterfaces":[
  {"NetworkInterfaceId":"eni-2","SubnetId":"subnet-b","VpcId":"vpc-1","PrivateIpAddress":"10.0.2.5","Groups":[{"GroupId":"sg-shut"}],"Attachment":{"DeviceIndex":1}},
  {"NetworkInterfaceId":"eni-1","SubnetId":"subnet-a","VpcId":"vpc-1","PrivateIpAddress":"10.0.1.5","Groups":[{"GroupId":"sg-app"}],"Attachment":{"DeviceIndex":0}}]},
 {"InstanceId":"i-2","State":{"Name":"running"},"NetworkInterfaces":[
  {"NetworkInterfaceId":"eni-3","SubnetId":"subnet-b","VpcId":"vpc-1","PrivateIpAddress":"10.0.2.6","Groups":[{"GroupId":"sg-lb"}],"Attachment":{"DeviceIndex":0}}]}]}]}"#;

const ELB: &str = r#"{"LoadBalancerDescriptions":[{"LoadBalancerName":"old","DNSName":"old-1.elb.example","Scheme":"internet-facing",
"VPCId":"vpc-1","Subnets":["subnet-a"],"SecurityGroups":["sg-lb"],"Instances":[{"InstanceId":"i-1"}],
"ListenerDescriptions":[{"Listener":{"Protocol":"HTTPS","LoadBalancerPort":443,"InstanceProtocol":"HTTP","InstancePort":8080},"PolicyNames":[]}],
"HealthCheck":{"Target":"HTTP:8080/","Interval":30,"Timeout":5,"UnhealthyThreshold":2,"HealthyThreshold":10}}]}"#;

#[test]
fn what_aws_elb_prints_is_read_and_an_instance_is_a_target_by_its_primary_interface() {
    let into =
        |elb: &str, port| ask_listings(&[("vpc.json", VPC), ("elb.json", elb)], "outside", "old", port);
    is(&into(ELB, 443), Verdict::Allowed);
    let none = into(&ELB.replace("[{\"InstanceId\":\"i-1\"}]", "[]"), 443);
    is(&none, Verdict::Denied);
    assert!(
        fixes(&none).contains("register-instances-with-load-balancer --load-balancer-name old"),
        "{}",
        fixes(&none)
    );
}

#[test]
fn an_instance_with_several_interfaces_is_reached_by_any_and_sends_from_the_nearest() {
    let ask = |from: &str, to: &str| ask_listings(&[("vpc.json", VPC)], from, to, 8080);
    // By its primary interface; the other one lets nothing in.
    is(&ask("i-2", "i-1"), Verdict::Allowed);
    is(&ask("i-2", "10.0.2.5"), Verdict::Denied);
    is(&ask("i-2", "eni-2"), Verdict::Denied);
    // The other way it would leave by the interface in the same subnet, whose group lets nothing out.
    let answer = ask("i-1", "i-2");
    assert!(
        answer.blockers.iter().any(|one| one.within.contains("sg-shut")
            || answer.steps.iter().any(|step| step.what.en.contains("eni-2"))),
        "{answer:#?}"
    );
    let swapped = VPC
        .replace("\"DeviceIndex\":1", "\"DeviceIndex\":9")
        .replace("\"DeviceIndex\":0", "\"DeviceIndex\":10");
    let answer = ask_listings(&[("vpc.json", &swapped)], "i-2", "i-1", 8080);
    is(&answer, Verdict::Allowed);
}

const ALB: &str = r#"{"LoadBalancers":[{"LoadBalancerArn":"arn:aws:elasticloadbalancing:r:1:loadbalancer/app/shop/1","LoadBalancerName":"shop","Type":"application",
 "Scheme":"internet-facing","VpcId":"vpc-1","SecurityGroups":["sg-lb"],"AvailabilityZones":[{"SubnetId":"subnet-a","ZoneName":"z1"}]}],
"Listeners":[{"ListenerArn":"arn:aws:elasticloadbalancing:r:1:listener/app/shop/1/2","LoadBalancerArn":"arn:aws:elasticloadbalancing:r:1:loadbalancer/app/shop/1","Port":443,"Protocol":"HTTPS",
 "DefaultActions":[{"Type":"forward","TargetGroupArn":"arn:tg/web"}]}],
"TargetGroups":[{"TargetGroupArn":"arn:tg/web","TargetGroupName":"web","Port":8080,"TargetType":"instance","HealthCheckPort":"traffic-port"},
 {"TargetGroupArn":"arn:tg/api","TargetGroupName":"api","Port":9090,"TargetType":"instance","HealthCheckPort":"traffic-port"}]}"#;
const ALB_RULES: &str = r#"{"Rules":[
 {"RuleArn":"arn:aws:elasticloadbalancing:r:1:listener-rule/app/shop/1/2/3","Priority":"1","IsDefault":false,
  "Conditions":[{"Field":"host-header","HostHeaderConfig":{"Values":["api.example"]},"Values":["api.example"]}],
  "Actions":[{"Type":"forward","TargetGroupArn":"arn:tg/api"}]},
 {"RuleArn":"arn:aws:elasticloadbalancing:r:1:listener-rule/app/shop/1/2/4","Priority":"default","IsDefault":true,"Conditions":[],
  "Actions":[{"Type":"forward","TargetGroupArn":"arn:tg/web"}]}]}"#;
const TARGETS: &str = r#"{"TargetHealthDescriptions":[{"Target":{"Id":"i-1","Port":8080},"TargetHealth":{"State":"healthy"}}]}"#;
const SCALED: &str = r#"{"AutoScalingGroups":[{"AutoScalingGroupName":"api","TargetGroupARNs":["arn:tg/api"],
 "Instances":[{"InstanceId":"i-1","LifecycleState":"InService"},{"InstanceId":"i-9","LifecycleState":"Terminating"}]}]}"#;

#[test]
fn rules_targets_and_autoscaling_groups_of_listings_are_joined() {
    let base = [("vpc.json", VPC), ("alb.json", ALB), ("health-web.json", TARGETS)];
    let ask = |more: &[(&str, &str)]| ask_listings(&[&base, more].concat(), "outside", "shop", 443);
    is(&ask(&[]), Verdict::Allowed);
    // Which targets the other group has is not known yet.
    is(&ask(&[("rules.json", ALB_RULES)]), Verdict::Depends);
    let answer = ask(&[("rules.json", ALB_RULES), ("scaling.json", SCALED)]);
    is(&answer, Verdict::Depends);
    assert!(answer.depends[0].why.en.contains("host-header api.example"), "{:?}", answer.depends);
    // Listings say values twice, here they are told once.
    let two = ALB_RULES.replace("[\"api.example\"]", "[\"api.example\",\"b.example\"]");
    let answer = ask(&[("rules.json", &two), ("scaling.json", SCALED)]);
    let why = &answer.depends[0].why.en;
    assert!(why.contains("requests with host-header api.example b.example are stopped"), "{why}");
    // Whom a condition on the client means that cannot be read is not known: it may be anybody.
    let odd = ALB_RULES.replace(
        r#""Field":"host-header","HostHeaderConfig":{"Values":["api.example"]},"Values":["api.example"]"#,
        r#""Field":"source-ip","SourceIpConfig":{"Values":["somewhere"]}"#,
    );
    is(&ask(&[("rules.json", &odd), ("scaling.json", SCALED)]), Verdict::Depends);
    let served = VPC.replace("\"FromPort\":8080,\"ToPort\":8080", "\"FromPort\":8080,\"ToPort\":9090");
    let files = [
        ("vpc.json", served.as_str()),
        base[1],
        base[2],
        ("rules.json", ALB_RULES),
        ("scaling.json", SCALED),
    ];
    is(&ask_listings(&files, "outside", "shop", 443), Verdict::Allowed);
}
