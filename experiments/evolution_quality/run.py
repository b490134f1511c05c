"""python -m experiments.evolution_quality.run --nasbench-macro nasbench_macro_cifar10.csv"""

import argparse
from pathlib import Path

from experiments.evolution_quality import nasbench_macro, operators
from experiments.tables import write_found

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--nasbench-macro", type=Path, required=True, help="the table as CSV: op0..op7, mean_acc, flops"
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--operator-seeds", type=int, default=4)
    arguments = parser.parse_args()
    found = [
        "NAS-Bench-Macro, the true table as score:",
        nasbench_macro.report(arguments.nasbench_macro, arguments.seeds),
        "FBNetV3's joint space: gap in percent on smooth / separable / rugged scores (points scored):",
        operators.report(arguments.operator_seeds),
    ]
    write_found(__file__, "\n\n".join(found))
