//! What was planted, and how well it was found.

use crate::detect::Alert;
use crate::record::Address;
use serde::{Deserialize, Serialize};

/// One planted attack.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attack {
    /// The ids that name it rightly; the first is the best.
    pub ids: Vec<String>,
    /// What the generator calls it.
    pub kind: String,
    pub attackers: Vec<String>,
    pub victims: Vec<String>,
    pub port: u16,
    /// Seconds since 1970.
    pub start: i64,
    pub end: i64,
    pub records: u64,
}

/// Something that looks like an attack and is none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LookAlike {
    pub kind: String,
    pub entity: String,
}

/// The ground truth of a day.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Truth {
    pub seed: u64,
    pub intensity: f64,
    pub records: u64,
    pub attacks: Vec<Attack>,
    pub look_alikes: Vec<LookAlike>,
    /// Strangers that scan all day and are no attack worth an alert; the first of them.
    #[serde(default)]
    pub scanners: Vec<String>,
}

/// How a run of the detectors did on one day.
#[derive(Debug, Clone, Default)]
pub struct Score {
    pub planted: usize,
    pub found: usize,
    /// Alerts that name no planted attack, or one that was named already.
    pub false_alerts: Vec<Alert>,
    pub missed: Vec<Attack>,
    /// Alerts whose entity is a look-alike's.
    pub on_look_alikes: usize,
}

impl Score {
    pub fn precision(&self) -> f64 {
        let told = self.found + self.false_alerts.len();
        if told == 0 { 1.0 } else { self.found as f64 / told as f64 }
    }
}

/// How far an alert may lie outside the attack's time.
const SLACK_S: i64 = 900;
/// How many addresses of an attack the truth names.
const NAME_COUNT_MAX: usize = 5000;

impl Truth {
    pub fn names(addresses: &[Address]) -> Vec<String> {
        addresses.iter().take(NAME_COUNT_MAX).map(|address| address.to_string()).collect()
    }

    /// Compares: the id, the entity (either side) and the time must fit, and each attack is found once.
    pub fn score(&self, alerts: &[Alert]) -> Score {
        let mut score = Score { planted: self.attacks.len(), ..Score::default() };
        let mut found = vec![false; self.attacks.len()];
        // Whoever names an attacker is matched before who names only the victim.
        let mut named = vec![false; alerts.len()];
        for by_attacker in [true, false] {
            for (alert, named) in alerts.iter().zip(&mut named).filter(|(_, named)| !**named) {
                let fits = |attack: &Attack| {
                    attack.fits(alert) && (!by_attacker || attack.attackers.contains(&alert.entity))
                };
                if let Some(place) =
                    (0..found.len()).find(|place| !found[*place] && fits(&self.attacks[*place]))
                {
                    (found[place], *named) = (true, true);
                }
            }
        }
        for (alert, named) in alerts.iter().zip(named) {
            let fits = |attack: &Attack| attack.fits(alert);
            if !named {
                score.false_alerts.push(alert.clone());
            }
            score.on_look_alikes += usize::from(
                self.look_alikes.iter().any(|one| one.entity == alert.entity)
                    && !self.attacks.iter().any(fits),
            );
        }
        score.found = found.iter().filter(|found| **found).count();
        let missed = self.attacks.iter().zip(&found).filter(|(_, found)| !**found);
        score.missed = missed.map(|(attack, _)| attack.clone()).collect();
        score
    }
}

impl Attack {
    fn fits(&self, alert: &Alert) -> bool {
        self.ids.contains(&alert.id)
            && (self.attackers.contains(&alert.entity) || self.victims.contains(&alert.entity))
            && alert.start <= self.end + SLACK_S
            && alert.end >= self.start - SLACK_S
    }
}
