#!/bin/sh
# The numeric tests on every kind of processor that this one can pass for: its instructions set low
# and high in PyTorch's own kernels, in oneDNN and in MKL, with one thread and with two.
set -eu
PYTHON=${PYTHON:-python3}
for threads in 1 2; do
    for kind in low high; do
        case $kind in
            low) aten=default onednn=SSE41 mkl=SSE4_2 ;;
            high) aten= onednn=ALL mkl= ;;
        esac
        echo "== instructions $kind, threads $threads"
        env ${aten:+ATEN_CPU_CAPABILITY=$aten} ONEDNN_MAX_CPU_ISA=$onednn \
            ${mkl:+MKL_ENABLE_INSTRUCTIONS=$mkl} OMP_NUM_THREADS=$threads \
            "$PYTHON" -m pytest -q -m "not book" tests/noise tests/sampling tests/models \
            tests/metrics tests/data/test_tensors.py tests/training/test_loop.py \
            tests/training/test_parts.py tests/training/test_report.py "$@"
    done
done
