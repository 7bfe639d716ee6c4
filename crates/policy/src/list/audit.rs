//! Which rules of a list never match, and which change nothing: exact, also where several others cover a rule
//! only together.

use super::List;
use crate::gate::Order;
use crate::space::Cube;

/// How often one rule's packets may be cut before the rule is left undecided.
const CUT_COUNT_MAX: usize = 1 << 20;

/// What becomes of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Some packet is decided by it.
    Lives,
    /// It matches no packet at all: its conditions exclude each other.
    Empty,
    /// Every packet it could match is taken before.
    Dead(Cover),
    /// It decides packets, and without it other rules would decide them alike. (That only the default would is
    /// not told: a rule may well say it out loud.)
    Redundant(Cover),
    /// Cut more than a million times without an end.
    Undecided,
}

/// The rules that cover another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cover {
    /// The fewest that were found to be needed; rising.
    pub by: Vec<u32>,
    /// Whether they do the same as the covered rule.
    pub same: bool,
}

/// The fates of all rules of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    pub fates: Vec<Fate>,
}

impl List {
    /// Decides the fate of every rule. `redundant` also looks for rules that match and yet change nothing, which
    /// costs more. What is told redundant may be removed together: each is judged without those after it.
    pub fn audit(&self, redundant: bool) -> Audit {
        let mut room = Room { removed: vec![false; self.len()], ..Room::default() };
        let mut fates: Vec<Fate> = Vec::with_capacity(self.len());
        for rule in (0..self.len() as u32).rev() {
            let fate = self.fate(rule, redundant, &mut room);
            room.removed[rule as usize] = matches!(fate, Fate::Redundant(_));
            fates.push(fate);
        }
        fates.reverse();
        Audit { fates }
    }

    fn fate(&self, rule: u32, redundant: bool, room: &mut Room) -> Fate {
        let entry = self.entries[rule as usize];
        if entry.cube_count == 0 {
            return if entry.exact { Fate::Empty } else { Fate::Lives };
        }
        if self.order == Order::AllowOnly {
            return self.repeated(rule, room);
        }
        let lives = self.has_free_corner(rule);
        match if lives { Answer::Lives } else { self.covered(rule, |_| true, room) } {
            Answer::Covered => {
                let by = self.needed(rule, room);
                let same = by.iter().all(|one| self.entries[*one as usize].action.is_like(entry.action));
                return Fate::Dead(Cover { by, same });
            }
            Answer::Undecided => return Fate::Undecided,
            Answer::Lives => {}
        }
        if redundant { self.changes_nothing(rule, room) } else { Fate::Lives }
    }

    /// Of a list without order: whether the other rules allow all that this one does.
    fn repeated(&self, rule: u32, room: &mut Room) -> Fate {
        match self.covered(rule, |_| true, room) {
            Answer::Covered => Fate::Redundant(Cover { by: self.needed(rule, room), same: true }),
            Answer::Undecided => Fate::Undecided,
            Answer::Lives => Fate::Lives,
        }
    }

    /// Whether everything a rule decides would be decided alike by the rules after it.
    fn changes_nothing(&self, rule: u32, room: &mut Room) -> Fate {
        let entry = self.entries[rule as usize];
        if !entry.exact {
            return Fate::Lives;
        }
        let mut by = Vec::new();
        for cube in self.cubes_of(rule).to_vec() {
            room.stack.clear();
            room.stack.push((cube, 0));
            self.overlapping(&cube, u32::MAX, &mut room.numbers);
            let mut cuts = 0;
            while let Some((piece, from)) = room.stack.pop() {
                cuts += 1;
                if cuts > CUT_COUNT_MAX {
                    return Fate::Undecided;
                }
                let next = room.numbers[from..].iter().position(|number| {
                    let other = self.owners[*number as usize];
                    other != rule
                        && !room.removed[other as usize]
                        && self.cubes[*number as usize].meets(&piece)
                });
                let Some(at) = next.map(|skip| from + skip) else { return Fate::Lives };
                let number = room.numbers[at] as usize;
                let other = self.owners[number];
                // What an earlier rule takes, this rule does not decide; what a later one would, must be alike.
                if other > rule && self.entries[other as usize].action != entry.action {
                    return Fate::Lives;
                }
                if self.entries[other as usize].exact {
                    by.extend((other > rule).then_some(other));
                    room.pieces.clear();
                    piece.minus(&self.cubes[number], &mut room.pieces);
                    room.stack.extend(room.pieces.iter().map(|piece| (*piece, at + 1)));
                } else {
                    room.stack.push((piece, at + 1));
                }
            }
        }
        by.sort_unstable();
        by.dedup();
        Fate::Redundant(Cover { by, same: true })
    }

    /// Whether the rules before it (all others, in a list without order) of those chosen take every packet of a
    /// rule; leaves the cubes used in the room.
    fn covered(&self, rule: u32, chosen: impl Fn(u32) -> bool, room: &mut Room) -> Answer {
        room.used.clear();
        let first = self.entries[rule as usize].first_cube;
        for (number, cube) in (first..).zip(self.cubes_of(rule)) {
            if room.candidates_of != Some(number) {
                self.candidates(rule, cube, room);
                room.candidates_of = Some(number);
            }
            room.numbers.clear();
            let taken = room.candidates.iter().filter(|number| chosen(self.owners[**number as usize]));
            room.numbers.extend(taken);
            match self.cover(cube, room) {
                Answer::Covered => {}
                other => return other,
            }
        }
        Answer::Covered
    }

    /// Finds the cubes of other rules that may take packets of a rule's cube.
    fn candidates(&self, rule: u32, cube: &Cube, room: &mut Room) {
        let end =
            if self.order == Order::FirstMatch { self.entries[rule as usize].first_cube } else { u32::MAX };
        self.overlapping(cube, end, &mut room.candidates);
        room.candidates.retain(|number| {
            let other = self.owners[*number as usize];
            other != rule && !room.removed[other as usize] && self.entries[other as usize].exact
        });
    }

    /// Whether the cubes numbered in the room take all of one cube.
    fn cover(&self, cube: &Cube, room: &mut Room) -> Answer {
        let mut corners = 0;
        for number in &room.numbers {
            let other = &self.cubes[*number as usize];
            let taken = corners_taken(cube, other);
            if taken == ALL_CORNERS && other.contains(cube) {
                room.used.push(*number);
                return Answer::Covered;
            }
            corners |= taken;
        }
        // The quick proof that a rule lives: a corner that all others leave.
        if corners != ALL_CORNERS {
            return Answer::Lives;
        }
        room.stack.clear();
        room.stack.push((*cube, 0));
        let mut cuts = 0;
        while let Some((piece, from)) = room.stack.pop() {
            cuts += 1;
            if cuts > CUT_COUNT_MAX {
                return Answer::Undecided;
            }
            let next =
                room.numbers[from..].iter().position(|number| self.cubes[*number as usize].meets(&piece));
            let Some(at) = next.map(|skip| from + skip) else { return Answer::Lives };
            room.used.push(room.numbers[at]);
            room.pieces.clear();
            piece.minus(&self.cubes[room.numbers[at] as usize], &mut room.pieces);
            room.stack.extend(room.pieces.iter().map(|piece| (*piece, at + 1)));
        }
        Answer::Covered
    }

    /// The fewest rules, tried one by one, that still cover a rule that the room's cubes cover.
    fn needed(&self, rule: u32, room: &mut Room) -> Vec<u32> {
        /// Beyond so many the trying costs more than it tells.
        const TRIED_COUNT_MAX: usize = 64;
        let mut rules: Vec<u32> = room.used.iter().map(|number| self.owners[*number as usize]).collect();
        rules.sort_unstable();
        rules.dedup();
        if rules.len() == 1 || rules.len() > TRIED_COUNT_MAX {
            return rules;
        }
        for one in rules.clone() {
            let rest: Vec<u32> = rules.iter().copied().filter(|other| *other != one).collect();
            let chosen = |other| rest.binary_search(&other).is_ok();
            if self.covered(rule, chosen, room) == Answer::Covered {
                rules = rest;
            }
        }
        rules
    }
}

/// A bit for each of the sixteen corners of a cube's four ranges.
const ALL_CORNERS: u16 = u16::MAX;

/// Which corners of a cube another one takes that is known to meet it.
fn corners_taken(cube: &Cube, other: &Cube) -> u16 {
    /// The corners at the low end of each range.
    const LOW_ENDS: [u16; 4] = [0x5555, 0x3333, 0x0f0f, 0x00ff];
    fn ends<T: PartialOrd>(low_ends: u16, own: (T, T), other: (T, T)) -> u16 {
        // Ranges that meet: an end is outside only when the other begins behind it, or stops before it.
        let low = if other.0 <= own.0 { low_ends } else { 0 };
        low | if own.1 <= other.1 { !low_ends } else { 0 }
    }
    ends(LOW_ENDS[0], cube.destination, other.destination)
        & ends(LOW_ENDS[1], cube.source, other.source)
        & ends(LOW_ENDS[2], cube.destination_ports, other.destination_ports)
        & ends(LOW_ENDS[3], cube.source_ports, other.source_ports)
}

/// What the search uses again and again.
#[derive(Debug, Default)]
struct Room {
    /// Rules told redundant already.
    removed: Vec<bool>,
    numbers: Vec<u32>,
    /// The cubes that may take packets of one cube, and of which: several choices of them are tried.
    candidates: Vec<u32>,
    candidates_of: Option<u32>,
    used: Vec<u32>,
    stack: Vec<(Cube, usize)>,
    pieces: Vec<Cube>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Covered,
    Lives,
    Undecided,
}
