"""`braid doctor`: what is wrong here, and how to put it right."""

import typer

from gateway.cli.doctor import documents, machine, parts
from gateway.cli.doctor.finding import CheckResult, Level
from gateway.cli.doctor.licences import check_licences
from gateway.cli.options import AsJson, Home, Port
from gateway.settings import Settings, SettingsError, load_settings
from gateway.stack.instance import Instance
from gateway.terminal import Exit, print_json, print_text

__all__ = ["doctor", "examine"]

_SIGNS = {Level.OK: "ok     ", Level.WARNING: "warning", Level.BROKEN: "broken "}


def doctor(home: Home = None, port: Port = None, as_json: AsJson = False) -> None:
    """Check machine, environments, model, engine, ports, index and documents, and print the fix for what is wrong."""
    findings = [machine.check_python(), machine.check_cores()]
    try:
        settings = load_settings({"home": home, "port": port})
    except SettingsError as error:
        findings.append(machine.check_memory())
        findings.append(CheckResult.broken("settings", str(error), "Correct it; the other checks need the settings."))
    else:
        findings += examine(settings)
    if as_json:
        print_json({"ok": not _broken(findings), "findings": findings})
    else:
        for finding in findings:
            print_text(f"{_SIGNS[finding.level]} {finding.name}: {finding.message}")
            if finding.fix:
                print_text(f"        fix: {finding.fix}")
    if _broken(findings):
        raise typer.Exit(Exit.FAILED)


def examine(settings: Settings) -> list[CheckResult]:
    """Run every check that needs the settings; those of what is in the home folder only where it can be looked into."""
    findings = [
        CheckResult.ok("settings", f"home {settings.home}, gateway {settings.host}:{settings.port}"),
        machine.check_disk(settings.home),
        machine.check_home(settings.home),
        parts.check_gateway(),
        parts.check_model_environment(settings.model_python),
        *check_licences(settings.model_python),
    ]
    if not machine.is_open(settings.home):
        return [machine.check_memory(), *findings]
    return [
        machine.check_memory(running=Instance.find_process(settings.home) is not None),
        *findings,
        machine.check_ports(settings),
        parts.check_base_model(settings),
        parts.check_adapters(settings),
        parts.check_learnt_facts(settings),
        *parts.check_engine(settings),
        documents.check_index(settings),
        documents.check_index_folders(settings),
        documents.check_documents(settings),
    ]


def _broken(findings: list[CheckResult]) -> bool:
    return any(finding.level is Level.BROKEN for finding in findings)
