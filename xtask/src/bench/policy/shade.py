"""Times Aerleon's own shade check, without parsing: shade.py FOLDER; prints the rules it told as JSON."""

import json
import re
import sys
import time

from absl import logging
from aerleon.lib import naming, yaml

told = []
logging.warning = lambda text, *rest: told.append(text % rest if rest else text)
folder = sys.argv[1]
definitions = naming.Naming(folder + "/def")
policies = folder + "/policies"
parsed = yaml.ParseFile(policies + "/drawn.yaml", base_dir=policies, definitions=definitions, optimize=False)
terms = parsed.filters[0][1]
start = time.process_time()
parsed._DetectShading(terms)
spent = time.process_time() - start
shaded = re.findall(r"^r(\d+) is shaded by", "\n".join(told), re.M)
print(json.dumps({"cpu_ms": spent * 1e3, "shaded": sorted({int(rule) for rule in shaded})}))
