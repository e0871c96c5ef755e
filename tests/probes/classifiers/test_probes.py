"""The probes: each is fitted, stopped, stored and gone on with; forests and projections agree with
scikit-learn's; what would not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.tree import DecisionTreeClassifier

from models.data import ImageData
from models.data.glyphs import draw_glyphs
from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from probes.classifiers.fitting import AT_ONCE, PROBES, ProbeRun, Scale, predict, restore_probe
from probes.classifiers.forests import SparseTree, StagedForest
from probes.classifiers.limits import ProbeTooLarge
from probes.classifiers.neighbours import ClassMembers, nearest_members
from probes.classifiers.perceptron import CrossEntropy, Perceptron, PerceptronConfig, build_network
from probes.classifiers.ranker import CandidateRanker
from probes.codes.encoding import CodedData, attach_codes, encode_images
from probes.codes.projection import ProjectionConfig, fit_projection
from search.latent_probes.presets import DEFAULTS, REPORTED_MLP

pytestmark = pytest.mark.filterwarnings("ignore:lbfgs failed to converge")

CLASSES, DRAWERS, SIZE = 30, 20, 16
SCALE = Scale(stages=3, trees=2, iterations=4, logistic_iterations=20)


@pytest.fixture(scope="module")
def coded(tmp_path_factory) -> CodedData:
    """Drawn characters, and codes of an untrained autoencoder: a random map keeps them apart."""
    images = torch.from_numpy(draw_glyphs(CLASSES).reshape(-1, 28, 28))
    labels = torch.arange(CLASSES).repeat_interleave(DRAWERS)
    drawers = torch.arange(1, DRAWERS + 1).repeat(CLASSES)
    parts = (drawers <= 14, (drawers > 14) & (drawers < 17), drawers >= 17)
    rows = [part.nonzero().flatten() for part in parts]
    names = tuple(f"alphabet/{n}" for n in range(CLASSES))
    data = ImageData("made", images, labels, drawers, names, *rows, "drawers", False, "sha")
    torch.manual_seed(0)
    network = Autoencoder(AutoencoderConfig(depth=2, width=8, latent_size=SIZE))
    return attach_codes(data, {SIZE: network}, 3, tmp_path_factory.mktemp("codes"))


def parameters(probe: str, **changes) -> dict:
    small = {"width": 64, "pca": 0, "candidates": 5, "ranker_lda": 8, "lda": 0, "dropout": 0.1}
    known = {name: value for name, value in small.items() if name in DEFAULTS[probe]}
    known |= {"learning_rate": 0.01, "batch_size": 16} if probe == "mlp" else {}
    return {**DEFAULTS[probe], **known, "probe": probe, "latent_size": SIZE, **changes}


def fitted(coded: CodedData, probe: str, **changes) -> tuple[ProbeRun, list[dict]]:
    run = ProbeRun(parameters(probe, **changes), 0, coded, SCALE)
    return run, list(run.epochs())


@pytest.mark.parametrize("probe", PROBES)
def test_every_probe_learns_and_counts_its_stages(coded, probe):
    _, records = fitted(coded, probe)
    epochs = [record["epoch"] for record in records]
    assert epochs == ([SCALE.stages] if probe in AT_ONCE else [1, 2, 3])
    assert records[-1]["validation_accuracy"] > 5 / CLASSES
    assert 0 <= records[-1]["train_accuracy"] <= 1 and np.isfinite(records[-1]["train_loss"])


@pytest.mark.parametrize("probe", PROBES)
def test_what_is_stored_predicts_as_what_was_fitted(coded, probe, tmp_path):
    run, records = fitted(coded, probe)
    torch.save(run.weights(), tmp_path / "weights.pt")
    weights = torch.load(tmp_path / "weights.pt", weights_only=True)
    probe_again, projection = restore_probe(weights, run.parameters, SCALE)
    held = coded.validation.numpy()
    again = predict(probe_again, projection, coded, SIZE, held)
    accuracy = (again == coded.labels.numpy()[held]).mean()
    assert accuracy == pytest.approx(records[-1]["validation_accuracy"], abs=1 / len(held))


@pytest.mark.parametrize("probe", sorted(set(PROBES) - AT_ONCE))
def test_a_fit_that_is_gone_on_with_ends_as_one_that_was_not_stopped(coded, probe):
    _, whole = fitted(coded, probe)
    first = ProbeRun(parameters(probe), 0, coded, SCALE)
    stages = first.epochs()
    begun = [next(stages), next(stages)]
    second = ProbeRun(parameters(probe), 0, coded, SCALE)
    second.load_state_dict(first.state_dict())
    assert [*begun, *second.epochs()] == whole


@pytest.mark.parametrize("probe", ["mlp", "extra-trees"])
def test_the_seed_decides(coded, probe):
    runs = [ProbeRun(parameters(probe), seed, coded, SCALE) for seed in (0, 0, 1)]
    records = [list(run.epochs()) for run in runs]
    assert records[0] == records[1] != records[2]


def test_a_probe_that_needs_too_much_memory_is_refused_with_both_figures(coded):
    run = ProbeRun(parameters("extra-trees"), 0, coded, SCALE, memory_bytes=1e5)
    with pytest.raises(ProbeTooLarge, match=r"needs about \d.* GB of memory.* may use 0.0"):
        next(run.epochs())


def test_forests_of_many_classes_and_views_are_what_does_not_fit():
    """964 characters, 14 drawings: one view fits a laptop, twenty do not."""
    forest = StagedForest()
    assert forest.memory_bytes(13_496, 64, 964) < 0.5 * 2**30
    assert forest.memory_bytes(20 * 13_496, 64, 964) > 4 * 2**30


# Codes


def test_rows_of_several_views_belong_to_the_same_drawings(coded):
    train = coded.train.numpy()
    rows = coded.rows(train, 3)
    codes = coded.codes[SIZE]
    first, second = codes[rows[: len(train)]], codes[rows[len(train) : 2 * len(train)]]
    assert np.array_equal(first, codes[train])
    near = np.linalg.norm(first.astype(float) - second, axis=1).mean()
    far = np.linalg.norm(first.astype(float) - np.roll(second, 14 * 3, axis=0), axis=1).mean()
    assert 0 < near < 0.9 * far


def test_test_images_have_no_views_and_no_more_views_are_had_than_were_made(coded):
    with pytest.raises(ValueError, match="test split"):
        coded.rows(coded.test.numpy(), 2)
    with pytest.raises(ValueError, match="4 views asked for, 3"):
        coded.rows(coded.train.numpy(), 4)


def test_codes_are_read_again_for_the_same_weights_and_made_anew_for_others(coded, tmp_path):
    torch.manual_seed(1)
    network = Autoencoder(AutoencoderConfig(depth=2, width=8, latent_size=SIZE))
    first = attach_codes(coded, {SIZE: network}, 1, tmp_path).codes[SIZE]
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert np.array_equal(attach_codes(coded, {SIZE: network}, 1, tmp_path).codes[SIZE], first)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files
    with torch.no_grad():
        network.to_code.bias += 1
    other = attach_codes(coded, {SIZE: network}, 1, tmp_path).codes[SIZE]
    assert len(list(tmp_path.iterdir())) == 2 and not np.array_equal(first, other)


def test_codes_are_those_of_the_autoencoder(coded):
    torch.manual_seed(2)
    network = Autoencoder(AutoencoderConfig(depth=2, width=8, latent_size=4)).eval()
    codes = encode_images(network, coded.images[:5])
    with torch.no_grad():
        wanted = network.encode(coded.images[:5].unsqueeze(1).float() / 255).numpy()
    assert codes == pytest.approx(wanted, abs=0.02)


# Projections, neighbours, trees


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(12), 20)
    return (rng.normal(size=(12, 10))[labels] + 0.7 * rng.normal(size=(240, 10))), labels


def test_a_projection_is_what_scikit_learn_s_steps_do_one_after_the_other(blobs):
    codes, labels = blobs
    projection = fit_projection(ProjectionConfig(True, 6, 3, 0.1), codes, labels)
    scaled = ((codes - codes.mean(0)) / codes.std(0)).astype(np.float32)
    reduced = PCA(6, svd_solver="covariance_eigh").fit_transform(scaled)
    lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.1, n_components=3)
    wanted = lda.fit(reduced, labels).transform(reduced)
    given = projection(codes)
    assert np.abs(given) == pytest.approx(np.abs(wanted), rel=1e-3, abs=1e-3)


def test_no_step_changes_nothing_and_too_many_components_are_as_many_as_there_are(blobs):
    codes, labels = blobs
    assert fit_projection(ProjectionConfig(), codes, labels)(codes) == pytest.approx(
        codes, abs=1e-5
    )
    assert fit_projection(ProjectionConfig(pca=99, lda=99), codes, labels).matrix.shape == (10, 10)


def test_nearest_members_are_found_class_by_class(blobs):
    codes, labels = blobs
    members = ClassMembers.of(codes, labels, 12)
    near = nearest_members(codes[:3], members, 2)
    unit = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    cosines = unit[:3] @ unit.T
    for query in range(3):
        for c in range(12):
            wanted = np.sort(cosines[query, labels == c])[::-1][:2]
            assert near[query, c] == pytest.approx(wanted, abs=1e-5)


def test_a_class_with_one_member_repeats_it(blobs):
    codes, _ = blobs
    members = ClassMembers.of(codes[:3], np.array([0, 1, 1]), 2)
    near = nearest_members(codes[:1], members, 3)
    assert near[0, 0] == pytest.approx(1.0, abs=1e-5)
    assert near[0, 1, 1] == near[0, 1, 2] <= near[0, 1, 0]


@pytest.mark.parametrize("leaf", [1, 5])
def test_a_sparse_tree_is_scikit_learn_s(blobs, leaf):
    codes, labels = blobs
    tree = DecisionTreeClassifier(min_samples_leaf=leaf, random_state=0).fit(codes, labels)
    sparse = SparseTree.of(tree.tree_)
    assert sparse.probabilities(codes, 12) == pytest.approx(tree.predict_proba(codes), abs=1e-6)
    assert np.array_equal(sparse.leaves(codes), tree.apply(codes))


def test_a_tree_that_is_one_leaf_answers_for_all(blobs):
    codes, _ = blobs
    tree = DecisionTreeClassifier().fit(codes, np.zeros(len(codes), int))
    assert SparseTree.of(tree.tree_).probabilities(codes, 1) == pytest.approx(1.0)


def test_more_trees_are_the_same_trees_and_more(blobs):
    codes, labels = blobs
    few, many = (StagedForest(n, 2, seed=3).fit(codes, labels) for n in (1, 3))
    assert len(few._trees) == 2 and len(many._trees) == 6
    assert np.array_equal(few._trees[1].threshold, many._trees[1].threshold)
    assert not np.array_equal(many._trees[0].threshold, many._trees[1].threshold)


# The perceptron and its two kinds of L2


def test_coupled_l2_is_half_the_squared_parameters_in_the_loss():
    config = PerceptronConfig(blocks=1, width=4, dropout=0.0)
    network = build_network(config, 3, 2)
    codes, labels = torch.randn(8, 3), torch.zeros(8, dtype=torch.int64)
    generator = torch.Generator()
    plain = CrossEntropy(0.0, 0.0).loss(network, codes, labels, generator)
    coupled = CrossEntropy(0.0, 0.1).loss(network, codes, labels, generator)
    squares = sum(float(p.square().sum()) for p in network.parameters())
    assert float(coupled - plain) == pytest.approx(0.05 * squares, rel=1e-4)


def test_strong_coupled_l2_underfits_where_decoupled_does_not(blobs):
    codes, labels = blobs
    base = {"blocks": 2, "width": 32, "dropout": 0.0, "l2": 0.1, "hidden_norm": False}
    base["batch_size"] = 16
    scores = {
        kind: Perceptron(PerceptronConfig(**base, l2_kind=kind), 30).fit(codes, labels)
        for kind in ("coupled", "decoupled")
    }
    accuracy = {kind: probe.score(codes, labels) for kind, probe in scores.items()}
    assert accuracy["coupled"] < accuracy["decoupled"] - 0.1


def test_the_second_stage_of_l2_begins_in_the_middle():
    config = PerceptronConfig(l2=1e-2, l2_later=1e-3, l2_kind="coupled")
    probe = Perceptron(config, stages=4)
    seen = []
    for stage in range(4):
        probe.stage_ = stage
        seen.append(probe._objective().coupled_l2)
    assert seen == [1e-2, 1e-2, 1e-3, 1e-3]


@pytest.mark.parametrize("wrong", [{"blocks": 0}, {"l2_kind": "both"}])
def test_a_perceptron_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError):
        PerceptronConfig(**{**{"blocks": 1}, **wrong})


def test_the_report_s_perceptron_is_a_perceptron(coded):
    _, records = fitted(coded, "mlp", **{k: v for k, v in REPORTED_MLP.items() if k != "width"})
    assert records[-1]["train_accuracy"] > records[0]["train_accuracy"] - 0.05


# Ranking candidates


def test_the_ranker_answers_with_a_candidate_and_scores_every_class(blobs):
    codes, labels = blobs
    groups = np.tile(np.arange(20), 12)
    ranker = CandidateRanker(stages=2, iterations_per_stage=5, candidates=3, lda=5, folds=4)
    ranker.fit(codes, labels + 100, groups)
    scores = ranker.decision_function(codes)
    assert scores.shape == (240, 12) and np.isfinite(scores).all()
    proposed = ranker._propose(codes, ranker._reference).classes
    assert (proposed == scores.argmax(1)[:, None]).any(1).all()
    assert set(ranker.predict(codes)) <= set(range(100, 112))


def test_drawings_of_a_drawer_are_held_out_together(blobs):
    codes, labels = blobs
    groups = np.tile(np.arange(20), 12)
    ranker = CandidateRanker(folds=4, queries=200)
    for known, held in ranker._held_out(codes, groups):
        assert not set(groups[known]) & set(groups[held]) and held.max() < 200


def test_boosting_on_candidates_does_not_grow_with_the_number_of_classes(blobs):
    """The pool has a row per candidate, whatever the number of classes."""
    codes, labels = blobs
    groups = np.tile(np.arange(20), 12)
    ranker = CandidateRanker(candidates=4, lda=5, folds=4)
    ranker.classes_ = np.arange(12)
    pool = ranker._pool(codes, labels, groups)
    assert pool.num_row() <= 4 * len(codes)
