#!/usr/bin/env python3
"""Runs other indexes of vectors on the vectors that `splinter-perf search --export DIR` wrote, on one thread.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python peers.py DIR >peers.json

Prints one JSON document, which `splinter-perf search --peers peers.json` shows. A peer that is not installed is told of on
standard error, and in the document. Each index is built from unit vectors and asked by inner product, which is the cosine.
"""

import argparse
import json
import multiprocessing
import os
import sqlite3
import sys
import time
from importlib import metadata
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402 (after the number of threads is set)

K = 10


def truth(vectors, queries):
    """Returns the score of the tenth nearest to each query, in 64-bit floats."""
    lowest = []
    exact = vectors.astype(np.float64)
    for query in queries:
        scores = exact @ query.astype(np.float64)
        lowest.append(np.partition(scores, -K)[-K])
    return lowest


def usearch(vectors):
    from usearch.index import Index

    index = Index(ndim=vectors.shape[1], metric="ip", dtype="f32")
    index.add(np.arange(len(vectors)), vectors, threads=1)

    def at(depth):
        index.expansion_search = depth
        return lambda query: index.search(query, K, threads=1).keys

    return [(f"ef={depth}", at, depth) for depth in (64, 128, 256)]


def hnswlib(vectors):
    import hnswlib as library

    index = library.Index(space="ip", dim=vectors.shape[1])
    index.init_index(max_elements=len(vectors), M=16, ef_construction=200)
    index.set_num_threads(1)
    index.add_items(vectors, num_threads=1)

    def at(depth):
        index.set_ef(depth)
        return lambda query: index.knn_query(query, k=K, num_threads=1)[0][0]

    return [(f"ef={depth}", at, depth) for depth in (64, 128, 256)]


def faiss(vectors, description, parameter, depths):
    import faiss as library

    library.omp_set_num_threads(1)
    index = library.index_factory(vectors.shape[1], description, library.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    space = library.ParameterSpace()

    def at(depth):
        if parameter:
            space.set_index_parameters(index, parameter.format(depth))
        return lambda query: index.search(query[None], K)[1][0]

    return [(parameter.format(depth) if parameter else "exact", at, depth) for depth in depths]


def sqlite_vec(vectors):
    import sqlite_vec as library

    database = sqlite3.connect(":memory:")
    database.enable_load_extension(True)
    library.load(database)
    database.execute(f"create virtual table v using vec0(x float[{vectors.shape[1]}] distance_metric=cosine)")
    rows = ((row, vector.tobytes()) for row, vector in enumerate(vectors))
    database.executemany("insert into v(rowid, x) values (?, ?)", rows)
    ask = "select rowid from v where x match ? and k = ? order by distance"

    def at(_):
        return lambda query: [row for (row,) in database.execute(ask, (query.tobytes(), K))]

    return [("exact", at, 0)]


def engines(count):
    """Returns name, package and builder of each peer."""
    lists = max(1, min(int(4 * count**0.5), count // 39))
    scan = f"IVF{lists},PQ96x4fs,RFlat"
    ivf = "nprobe={0},k_factor_rf=20"
    yield "usearch", "usearch", usearch
    yield "hnswlib", "hnswlib", hnswlib
    yield "faiss, flat", "faiss-cpu", lambda vectors: faiss(vectors, "Flat", "", [0])
    yield "faiss, HNSW32", "faiss-cpu", lambda vectors: faiss(vectors, "HNSW32", "efSearch={0}", [64, 128, 256])
    yield f"faiss, {scan}", "faiss-cpu", lambda vectors: faiss(vectors, scan, ivf, [8, 32, 128])
    yield "sqlite-vec", "sqlite-vec", sqlite_vec


def measure(search, vectors, queries, lowest):
    """Returns the recall and the times of one depth, after one pass over the queries that does not count."""
    for query in queries:
        search(query)
    times, right = [], 0
    for query, low in zip(queries, lowest):
        start = time.perf_counter_ns()
        found = search(query)
        times.append(time.perf_counter_ns() - start)
        found = np.unique(np.asarray(found, dtype=np.int64))
        found = found[found >= 0]
        scores = vectors[found].astype(np.float64) @ query.astype(np.float64)
        # A hit as near as the tenth nearest counts.
        right += int((scores >= low - 1e-9).sum())
    p50, p99 = np.percentile(times, [50, 99])
    return {"recall_at_10": right / (K * len(queries)), "p50_ns": float(p50), "p99_ns": float(p99)}


def run(name, package, build, vectors, queries, lowest):
    engine = {"name": name, "version": None, "build_s": None, "problem": None, "points": []}
    try:
        engine["version"] = metadata.version(package)
        start = time.perf_counter()
        depths = build(vectors)
        engine["build_s"] = time.perf_counter() - start
        for depth, at, setting in depths:
            engine["points"].append({"depth": depth} | measure(at(setting), vectors, queries, lowest))
    except metadata.PackageNotFoundError:
        engine["problem"] = "is not installed"
    except Exception as error:  # Whatever a peer says, the others go on.
        engine["problem"] = (str(error).splitlines() or [type(error).__name__])[0]
    return engine


def apart(name, *arguments):
    """Runs a peer in a process of its own: the libraries do not bear each other, and one that crashes ends no other."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(run(name, *arguments)))
    process.start()
    sender.close()
    try:
        engine = receiver.recv()
    except EOFError:
        engine = {"name": name, "version": None, "build_s": None, "problem": "crashed", "points": []}
    process.join()
    if engine["problem"]:
        print(f"peers.py: {name}: {engine['problem']}", file=sys.stderr)
    return engine


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where --export wrote")
    parser.add_argument("--only", default="", help="only peers whose name contains this text")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    families = []
    for file in sorted(arguments.folder.glob("*.vectors.npy")):
        family = file.name.removesuffix(".vectors.npy")
        vectors = np.load(file)
        queries = np.load(file.with_name(f"{family}.queries.npy"))
        unit = [np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True)) for rows in (vectors, queries)]
        lowest = truth(*unit)
        wanted = [engine for engine in engines(len(vectors)) if arguments.only in engine[0]]
        done = [apart(*engine, *unit, lowest) for engine in wanted]
        shape = {"keys": len(vectors), "dim": vectors.shape[1], "queries": len(queries)}
        families.append({"family": family} | shape | {"engines": done})
    if not families:
        sys.exit(f"peers.py: there is no NAME.vectors.npy in {arguments.folder}: write some with 'splinter-perf search --export'")
    print(json.dumps({"schema_version": 1, "kind": "search-peers", "families": families}, indent=2))


if __name__ == "__main__":
    main()
