"""How the command line ends: one exception, and what each exit code means."""

from __future__ import annotations

OK = 0
SENT_BACK = 1
USAGE = 2
NOT_YET = 3
NOT_FOUND = 4
CLUSTER = 5
INTERRUPTED = 130

EXIT_CODES = """\
exit codes:
  0    done; for `status`: accepted and serving
  1    refused, sent back or failed; for `lint`: something would be refused; for `presets test`: something is missing
  2    wrong usage, or a file that cannot be used
  3    not there yet: the time ran out, or the operator does not react
  4    no such ModelDeployment
  5    the cluster cannot be reached, does not know ModelDeployments, or forbids it; or Prometheus does not answer
  130  interrupted with Ctrl-C"""


class CliError(Exception):
    """Something a person has to know; the message names the object, what happened and the next step."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
