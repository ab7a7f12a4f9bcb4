//! The 19 controls, one file each, in chapter order.
//!
//! Adding or changing one is a file here and a line in [`CONTROLS`]; reports, records and `explain`
//! iterate the list.

use super::Control;

mod v4_01_package_repository;
mod v4_02_congruent_origin;
mod v4_03_strong_authentication;
mod v4_04_mfa_publishing;
mod v4_05_mfa_published;
mod v4_06_incident_reporting;
mod v4_07_automated_reporting;
mod v4_08_publisher_notification;
mod v4_09_user_notification;
mod v4_10_source_correlation;
mod v4_11_update_audit;
mod v4_12_code_signing;
mod v4_13_remote_integrity;
mod v4_14_file_integrity;
mod v4_15_repository_tls;
mod v4_16_tls_validation;
mod v4_17_static_analysis;
mod v4_18_no_execution;
mod v4_19_install_record;

/// All controls in chapter order.
pub const CONTROLS: &[&dyn Control] = &[
    &v4_01_package_repository::PackageRepository,
    &v4_02_congruent_origin::CongruentOrigin,
    &v4_03_strong_authentication::StrongAuthentication,
    &v4_04_mfa_publishing::MfaPublishing,
    &v4_05_mfa_published::MfaPublished,
    &v4_06_incident_reporting::IncidentReporting,
    &v4_07_automated_reporting::AutomatedReporting,
    &v4_08_publisher_notification::PublisherNotification,
    &v4_09_user_notification::UserNotification,
    &v4_10_source_correlation::SourceCorrelation,
    &v4_11_update_audit::UpdateAudit,
    &v4_12_code_signing::CodeSigning,
    &v4_13_remote_integrity::RemoteIntegrity,
    &v4_14_file_integrity::FileIntegrity,
    &v4_15_repository_tls::RepositoryTls,
    &v4_16_tls_validation::TlsValidation,
    &v4_17_static_analysis::StaticAnalysis,
    &v4_18_no_execution::NoExecution,
    &v4_19_install_record::InstallRecord,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Level;

    #[test]
    fn nineteen_controls_in_order() {
        let numbers: Vec<u8> = CONTROLS
            .iter()
            .map(|control| control.id().number())
            .collect();
        assert_eq!(numbers, (1..=19).collect::<Vec<u8>>());
    }

    #[test]
    fn levels_are_those_of_the_standard() {
        let of = |level: Level| -> Vec<u8> {
            CONTROLS
                .iter()
                .filter(|control| control.level() == level)
                .map(|control| control.id().number())
                .collect()
        };
        assert_eq!(of(Level::L1), [1, 2, 11, 13, 14, 15, 16, 18, 19]);
        assert_eq!(of(Level::L2), [3, 4, 6, 8, 10, 12]);
        assert_eq!(of(Level::L3), [5, 7, 9, 17]);
    }

    #[test]
    fn every_text_is_there() {
        for control in CONTROLS {
            for text in [
                control.title(),
                control.interpretation(),
                control.cannot_see(),
            ] {
                assert!(text.len() > 20, "{:?}", control.id());
                assert!(!text.contains("  "), "{text}");
            }
        }
    }
}
