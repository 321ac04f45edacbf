//! Looks sites up by name.

use std::str::FromStr;

use crate::error::ScheduleError;
use crate::nearest::nearest_names;
use crate::site::Site;

impl FromStr for Site {
    type Err = ScheduleError;

    fn from_str(name: &str) -> Result<Self, ScheduleError> {
        if let Some(site) = Self::ALL.iter().copied().find(|site| site.name() == name) {
            return Ok(site);
        }
        Err(ScheduleError::UnknownSite {
            name: name.to_owned(),
            nearest: nearest_names(name, Self::ALL.iter().map(|site| site.name())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for &site in Site::ALL {
            assert_eq!(site.name().parse::<Site>().unwrap(), site);
        }
    }

    #[test]
    fn an_unknown_site_names_its_neighbours() {
        let message = "attn.scores".parse::<Site>().unwrap_err().to_string();
        assert!(
            message.contains("`attn.scores`") && message.contains("attn.pattern"),
            "{message}"
        );
        assert!(!message.contains("mlp"), "{message}");
    }
}
