//! Which reader a file is for, by what stands in it.

use super::columns::Columns;
use super::form::{Form, form};
use super::harmless::is_harmless;
use super::host::HostFilter;
use super::{Given, Source, World, behind, one_way};
use crate::aws::Aws;
use crate::balancer::{self, Balancers, History};
use crate::cloud::READERS;
use crate::doc::{self, Node, Read};
use crate::estate::Estate;
use crate::finding::Finding;
use crate::kube::{self, Kube, Options};
use crate::netfilter::ast::Ruleset;
use crate::netfilter::{faults, nft, xtables};
use crate::place::{Place, Unread};
use crate::{terraform, zero_trust};
use netwhy_model::host::Snapshot;
use std::sync::Arc;

/// The start of a file that shows whether it is evidence, in bytes.
const EVIDENCE_HEAD_BYTES: usize = 512;

/// Reads every source.
pub(super) fn read(sources: &[Source], given: Given) -> World {
    let mut gathered = Gathered { given, ..Gathered::default() };
    let mut terraform: Vec<&Source> = Vec::new();
    let mut nginx: Vec<(Arc<str>, &str)> = Vec::new();
    for source in sources {
        let form = form(source);
        gathered.columns.add(source, form == Form::Yaml);
        match form {
            Form::Nft | Form::NftJson | Form::Xtables(_) | Form::Ipset => gathered.filter(source),
            Form::Terraform => terraform.push(source),
            Form::Json => gathered.json(source),
            Form::Yaml => gathered.yaml(source),
            Form::Nginx => nginx.push((Arc::clone(&source.file), source.text.as_str())),
            Form::Haproxy => gathered.balancers(balancer::haproxy(&source.file, &source.text)),
            Form::Other => {}
            Form::Unknown => gathered.unread.push(Unread::new(
                Place::whole(&source.file),
                source.text.lines().next().unwrap_or_default(),
                "no reader knows what this file is",
                "没有读取器认识此文件",
            )),
        }
    }
    gathered.balancers(balancer::nginx_files(&nginx));
    gathered.world(&terraform)
}

/// The rules of a packet filter in one file; `None` when it holds none.
pub fn netfilter(source: &Source) -> Option<Ruleset> {
    let Source { file, text } = source;
    let mut ruleset = match form(source) {
        Form::Nft => nft::read_text(file, text),
        Form::NftJson => nft::read_json(file, text),
        Form::Xtables(family) => xtables::read_save(file, text, family),
        Form::Ipset => xtables::read_ipset(file, text),
        _ => return None,
    };
    xtables::bind(&mut ruleset);
    Some(ruleset)
}

/// What the files hold, by reader.
#[derive(Default)]
struct Gathered {
    /// The folder, the name of the host they seem to be of, and the rules.
    filters: Vec<(String, String, Ruleset)>,
    kubernetes: Vec<Read>,
    aws: Vec<(Arc<str>, String)>,
    /// By the reader of a cloud that claims them.
    clouds: [Vec<Node>; READERS.len()],
    zero_trust: Vec<Node>,
    balancers: Vec<balancer::Balancer>,
    /// Documents of cloud load balancers.
    balancing: Vec<Node>,
    /// What is known besides the rules.
    given: Given,
    columns: Columns,
    /// Members that go up and down again and again.
    flaps: Vec<Finding>,
    unread: Vec<Unread>,
}

impl Gathered {
    fn filter(&mut self, source: &Source) {
        let Some(ruleset) = netfilter(source) else { return };
        // The files of one folder that no other file of their kind is beside are of one host.
        let folder = source.file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let beside = |one: &&mut (String, String, Ruleset)| one.0 == folder && joins(&one.2, &ruleset);
        match self.filters.iter_mut().find(beside) {
            Some((_, host, own)) => {
                if !folder.is_empty() {
                    folder.clone_into(host);
                }
                own.tables.extend(ruleset.tables);
                own.ipsets.extend(ruleset.ipsets);
                own.unread.extend(ruleset.unread);
                xtables::bind(own);
            }
            None => self.filters.push((folder.to_owned(), source.file.to_string(), ruleset)),
        }
    }

    fn json(&mut self, source: &Source) {
        if self.evidence(source) {
            return;
        }
        let read = kube::printable(doc::json(&source.file, &source.text));
        self.unread.extend(read.unread.iter().cloned());
        let mut known = read.documents.is_empty();
        for node in &read.documents {
            let before = known;
            known = true;
            match () {
                () if crate::aws::is_aws(node) => {
                    self.aws.push((Arc::clone(&source.file), source.text.clone()))
                }
                () if self.cloud(node) => {}
                () if zero_trust::resembles(node) => self.zero_trust.push(node.clone()),
                () if Kube::is(node) => {
                    self.kubernetes.push(Read { documents: vec![node.clone()], unread: Vec::new() })
                }
                () if is_harmless(node) => {}
                () => known = before,
            }
        }
        self.aws.dedup_by(|a, b| a.0 == b.0);
        // Listeners, groups and their health stand in files of their own: they are joined at the end.
        let balancing = read.documents.iter().filter(|node| balancer::claims(node));
        let before = self.balancing.len();
        self.balancing.extend(balancing.cloned());
        known |= self.balancing.len() > before;
        if !known {
            let en = "this JSON is of none of the tools that netwhy reads";
            self.unread.push(Unread::new(
                Place::whole(&source.file),
                "",
                en,
                "该 JSON 不属于 netwhy 可读取的任何工具",
            ));
        }
    }

    /// Takes what is no rule and yet known: a snapshot of a host, a history of what members were.
    fn evidence(&mut self, source: &Source) -> bool {
        let head =
            source.text.get(..source.text.floor_char_boundary(EVIDENCE_HEAD_BYTES)).unwrap_or_default();
        if head.contains("\"netwhy.host/1\"") {
            let Ok(snapshot) = serde_json::from_str::<Snapshot>(&source.text) else { return false };
            self.given.known.snapshot(&source.file, &snapshot);
            return true;
        }
        let history = History::resembles(head);
        if history {
            let read = History::read(&source.file, &source.text);
            self.flaps.extend(balancer::flapping(&read).iter().map(balancer::Flap::finding));
            self.unread.extend(read.unread);
        }
        history
    }

    /// Manifests; or what `gcloud` and `az` print as YAML.
    fn yaml(&mut self, source: &Source) {
        let mut read = kube::printable(doc::yaml(&source.file, &source.text));
        read.documents.retain(|node| !self.cloud(node));
        if !read.documents.is_empty() || !read.unread.is_empty() {
            self.kubernetes.push(read);
        }
    }

    /// Gives a document to the cloud it is of.
    fn cloud(&mut self, node: &Node) -> bool {
        let claims = READERS.iter().position(|reader| (reader.claims)(node));
        if let Some(nodes) = claims.and_then(|at| self.clouds.get_mut(at)) {
            nodes.push(node.clone());
        }
        claims.is_some()
    }

    fn balancers(&mut self, found: Balancers) {
        self.balancers.extend(found.balancers);
        self.unread.extend(found.unread);
    }

    fn world(mut self, terraform: &[&Source]) -> World {
        let Given { role, facts, known } = std::mem::take(&mut self.given);
        let documents = std::mem::take(&mut self.balancing);
        for read in [balancer::aws, balancer::gcp, balancer::aliyun] {
            self.balancers(read(&documents));
        }
        let mut estates: Vec<Box<dyn Estate>> = Vec::new();
        let mut findings: Vec<Finding> = std::mem::take(&mut self.flaps);
        if !terraform.is_empty() {
            let files: Vec<_> =
                terraform.iter().map(|one| (Arc::clone(&one.file), one.text.as_str())).collect();
            // What is not understood of the files is said by the estates that read them.
            self.balancers.extend(balancer::terraform(&terraform::resources(&files)).balancers);
        }
        if !self.aws.is_empty() || !terraform.is_empty() {
            let own = self.aws.iter().map(|(file, text)| (Arc::clone(file), text.as_str()));
            let planned = terraform.iter().map(|one| (Arc::clone(&one.file), one.text.as_str()));
            let aws = Aws::read(&own.chain(planned).collect::<Vec<_>>());
            findings.extend(aws.findings());
            estates.push(Box::new(aws));
        }
        let files: Vec<terraform::File<'_>> =
            terraform.iter().map(|one| (Arc::clone(&one.file), one.text.as_str())).collect();
        let planned = terraform::resources(&files);
        for (reader, mut nodes) in READERS.iter().zip(self.clouds) {
            nodes.extend((reader.terraform)(&planned.resources));
            if !nodes.is_empty() {
                let cloud = (reader.read)(&nodes, Vec::new());
                findings.extend(cloud.findings());
                estates.push(Box::new(cloud));
            }
        }
        if !self.kubernetes.is_empty() {
            let kube = Kube::of(self.kubernetes, Options::default());
            findings.extend(kube.faults());
            estates.push(Box::new(kube));
        }
        if !self.zero_trust.is_empty() {
            estates.push(Box::new(zero_trust::zero_trust(&self.zero_trust, &facts)));
        }
        for (_, name, ruleset) in self.filters {
            findings.extend(faults::faults(&ruleset));
            let filter = HostFilter::new(name, ruleset, role);
            findings.extend(one_way::findings(&filter));
            findings.extend(behind::findings(&filter));
            estates.push(Box::new(filter));
        }
        for balancer in &self.balancers {
            findings.extend(balancer::faults(balancer, &known));
        }
        let mut unread = self.unread;
        unread.extend(estates.iter().flat_map(|estate| estate.unread().iter().cloned()));
        // Every reader of Terraform tells of the same places.
        unread.extend(planned.unread);
        unread.sort_by(|one, two| one.place.cmp(&two.place));
        unread.dedup();
        World { estates, balancers: self.balancers, unread, findings, known, columns: self.columns }
    }
}

/// Whether two rule sets can be of one host: they have no table in common.
fn joins(one: &Ruleset, other: &Ruleset) -> bool {
    let same = |a: &crate::netfilter::ast::Table, b: &crate::netfilter::ast::Table| {
        (a.backend, a.family, &a.name) == (b.backend, b.family, &b.name)
    };
    !one.tables.iter().any(|a| other.tables.iter().any(|b| same(a, b)))
}
