"""schemathesis, which reads the service's own description and tries to break what it promises."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.faults.running import LONG, running

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_schemathesis_finds_nothing(tmp_path, capsys) -> None:
    with running(tmp_path) as service:
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{service.port}/openapi.json",
            "--checks", CHECKS, "--seed", "1",
            "--max-examples", str(200 if LONG else 10), "--phases", "examples,fuzzing", "--no-color",
            "--generation-database", "none",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=500)
        assert done.returncode == 0, done.stdout
        assert service.stop() == 0
        assert "Traceback" not in service.said
    counts = re.search(r"(\d+) generated.*", done.stdout)
    assert counts is not None
    with capsys.disabled():
        sys.stdout.write(f"\n  schemathesis: {counts[0]}\n")
