//! Names to addresses, without libc, so that a static binary works.
//!
//! Reads `/etc/resolv.conf` and `/etc/hosts` when the first name is asked for. Address literals
//! and `localhost` never reach a name server (RFC 6761).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use hickory_resolver::net::NetError;
use tokio::sync::OnceCell;

/// Why a name gave no address.
#[derive(Debug, thiserror::Error)]
#[error("the name `{name}` could not be resolved")]
pub(in crate::proxy) struct NameError {
    name: String,
    /// What the resolver said.
    #[source]
    source: NetError,
    /// Whether another try may help.
    pub(super) passing: bool,
}

/// The resolver of the run.
#[derive(Debug, Default)]
pub(super) struct Names(OnceCell<TokioResolver>);

impl Names {
    /// The addresses of a host as it stands in a URL, IPv4 first: networks without a working IPv6
    /// are more common than the other way round.
    pub(super) async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, NameError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(vec![address]);
        }
        if host == "localhost" || host.ends_with(".localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let failed = |source: NetError| {
            let passing = !source.is_nx_domain() && !source.is_no_records_found();
            NameError {
                name: host.to_owned(),
                source,
                passing,
            }
        };
        let resolver = self
            .0
            .get_or_try_init(|| async { system() })
            .await
            .map_err(failed)?;
        let found = resolver.lookup_ip(host).await.map_err(failed)?;
        let mut addresses: Vec<IpAddr> = found.iter().collect();
        addresses.sort_by_key(IpAddr::is_ipv6);
        Ok(addresses)
    }
}

fn system() -> Result<TokioResolver, NetError> {
    let mut builder = TokioResolver::builder_tokio()?;
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn literals_and_localhost_need_no_name_server() {
        let names = Names::default();
        assert_eq!(
            names.resolve("127.0.0.1").await.unwrap(),
            [IpAddr::from([127, 0, 0, 1])]
        );
        assert_eq!(
            names.resolve("[::1]").await.unwrap(),
            [IpAddr::from(Ipv6Addr::LOCALHOST)]
        );
        assert!(
            names
                .resolve("localhost")
                .await
                .unwrap()
                .iter()
                .all(IpAddr::is_loopback)
        );
        assert!(names.0.get().is_none());
    }
}
