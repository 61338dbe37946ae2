"""Expands a SAM template from standard input to standard output. Runs in .venv-infra, which has the translator.

Parameters keep their references: what a stack is given is not known here. The managed policies that the translator
may look up are never asked for, because every function brings its role.
"""

import json
import sys

from samtranslator.parser.parser import Parser  # type: ignore[import-not-found]  # only .venv-infra has it
from samtranslator.translator.translator import Translator  # type: ignore[import-not-found]

template = json.load(sys.stdin)
json.dump(Translator({}, Parser()).translate(template, parameter_values={}), sys.stdout, indent=1)
