//! Several files of nginx: which of them include which.

use super::Balancers;
use super::cloud::last;
use super::nginx::{balancer, nginx};
use super::nginx_tree::{Directive, Tree, tree};
use crate::glob::fits;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Reads all files of nginx that there are: each main file with what it includes of the others, and the rest, which
/// no main file includes, together.
pub fn nginx_files(files: &[(Arc<str>, &str)]) -> Balancers {
    let used: RefCell<BTreeSet<Arc<str>>> = RefCell::default();
    let include = |pattern: &str| {
        let found = files.iter().filter(|(name, _)| names(pattern, name));
        let found: Vec<(Arc<str>, String)> =
            found.map(|(name, text)| (Arc::clone(name), (*text).to_owned())).collect();
        used.borrow_mut().extend(found.iter().map(|(name, _)| Arc::clone(name)));
        found
    };
    let main = |directives: &[Directive]| {
        directives.iter().any(|one| matches!(one.name.as_str(), "http" | "events" | "stream"))
    };
    let (mut read, mut rest) = (Balancers::default(), Vec::new());
    for (file, text) in files {
        if main(&tree(file, text, &|_| Vec::new()).directives) {
            let found = nginx(file, text, &include);
            read.balancers.extend(found.balancers);
            read.unread.extend(found.unread);
        } else {
            rest.push((file, text));
        }
    }
    // Asked once only to learn which of the rest include others of it.
    rest.iter().for_each(|(file, text)| drop(tree(file, text, &include)));
    let included = used.take();
    rest.retain(|(file, _)| !included.contains(*file));
    let mut joined = Tree { whole: true, ..Tree::default() };
    for (file, text) in &rest {
        let one = tree(file, text, &include);
        joined.directives.extend(one.directives);
        joined.unread.extend(one.unread);
        joined.whole &= one.whole;
    }
    if let Some((file, _)) = rest.first() {
        let found = balancer(file, joined);
        read.balancers.extend(found.balancers);
        read.unread.extend(found.unread);
    }
    read
}

/// Whether an `include` means a file: its name fits, and its folder where the pattern has one. A file without a
/// folder is meant by its full name only.
fn names(pattern: &str, file: &str) -> bool {
    let parts = |path: &'_ str| {
        path.rsplit_once('/').map(|(folder, name)| (last(folder).to_owned(), name.to_owned()))
    };
    match (parts(pattern), parts(file)) {
        (None, _) => fits(pattern, last(file)),
        (Some((_, name)), None) => name == file,
        (Some((folder, name)), Some((own_folder, own_name))) => {
            fits(&name, &own_name) && fits(&folder, &own_folder)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn an_include_means_files_by_name_and_folder() {
        assert!(names("/etc/nginx/conf.d/*.conf", "host1/conf.d/web.conf"));
        assert!(names("mime.types", "etc/nginx/mime.types"));
        assert!(names("sites/a?b*", "sites/axbc"));
        assert!(!names("conf.d/*.conf", "sites/web.conf"));
        assert!(!names("conf.d/*.conf", "web.conf"), "a folder that is not known fits no pattern");
        assert!(!names("*.conf", "web.conf.old"));
    }
}
