//! Lists of boxes side by side, each leading on to the next one to look at.

use super::entry::{Entry, Narrow, Number};

/// No list; and no box.
pub const NONE: u32 = u32::MAX;

/// A list takes in the one above it while both together have no more boxes: one short list is quicker to look
/// through than two, and has the first box first.
const MERGED_BOXES_MAX: usize = 8;

#[derive(Debug)]
pub struct Lists<N> {
    entries: Vec<Entry<N>>,
    nodes: Vec<Node>,
}

/// One list, sorted by number, and what it leads on to.
#[derive(Debug, Clone, Copy)]
pub struct Node {
    above: u32,
    start: u32,
    end: u32,
    /// The first box here and above.
    least: u32,
}

impl Node {
    /// No box at all.
    pub const NOTHING: Node = Node { above: NONE, start: 0, end: 0, least: NONE };
}

impl<N> Default for Lists<N> {
    fn default() -> Lists<N> {
        Lists { entries: Vec::new(), nodes: Vec::new() }
    }
}

impl<N: Number> Lists<N> {
    /// Adds a list sorted by number, which leads on to another; gives the place of it.
    pub fn add(&mut self, list: impl Iterator<Item = Entry<N>>, mut above: u32) -> u32 {
        let place = |length: usize| u32::try_from(length).unwrap_or(NONE);
        let start = self.entries.len();
        self.entries.extend(list);
        let over = self.node(above);
        let more = over.start as usize..over.end as usize;
        if self.entries.len() - start + more.len() <= MERGED_BOXES_MAX {
            self.entries.extend_from_within(more);
            self.entries[start..].sort_unstable_by_key(|entry| entry.number);
            above = over.above;
        }
        let own = self.entries.get(start).map_or(NONE, |entry| entry.number);
        let least = own.min(self.node(above).least);
        self.nodes.push(Node { above, start: place(start), end: place(self.entries.len()), least });
        place(self.nodes.len() - 1)
    }

    pub fn node(&self, number: u32) -> Node {
        self.nodes.get(number as usize).copied().unwrap_or(Node::NOTHING)
    }

    #[inline]
    fn list(&self, node: Node) -> &[Entry<N>] {
        self.entries.get(node.start as usize..node.end as usize).unwrap_or_default()
    }

    /// Finds the first box from `from` on, here and above, that holds the packet and passes a test, if it is before
    /// the first so far.
    #[inline]
    pub fn look(
        &self,
        mut node: Node,
        from: u32,
        sought: &Narrow<N>,
        test: &impl Fn(u32) -> bool,
        first: &mut u32,
    ) {
        while node.least < *first {
            let list = self.list(node);
            let start = if from == 0 { 0 } else { list.partition_point(|entry| entry.number < from) };
            for entry in &list[start..] {
                if entry.number >= *first {
                    break;
                }
                if entry.holds(sought) && test(entry.number) {
                    *first = entry.number;
                    break;
                }
            }
            node = self.node(node.above);
        }
    }

    /// Every box here and above.
    #[cfg(test)]
    pub fn numbers(&self, node: Node) -> impl Iterator<Item = u32> {
        let way = std::iter::successors(Some(node), |node| self.nodes.get(node.above as usize).copied());
        way.flat_map(|node| self.list(node).iter().map(|entry| entry.number))
    }
}
