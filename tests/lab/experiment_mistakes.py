"""Typical mistakes in the experiments of notebooks 01 to 07, and a word of the hint that each one gets."""

import torch


def only_the_input_shuffled(encode, tokens, order):
    return (encode(tokens[:, order]) - encode(tokens)).abs().max().item()


def mean_difference(encode, tokens, order):
    return (encode(tokens[:, order]) - encode(tokens)[:, order]).abs().mean().item()


def sign_kept(encode, tokens, order):
    return (encode(tokens[:, order]) - encode(tokens)[:, order]).max().item()


def zeroed_not_left_out(pool, x):
    kept = 1 - torch.eye(x.shape[1])[:, :, None]
    return torch.stack([(pool(x * one) - pool(x)).norm() for one in kept])


def squared_distance(pool, x):
    rest = [torch.cat([x[:, :i], x[:, i + 1 :]], dim=1) for i in range(x.shape[1])]
    return torch.stack([(pool(tokens) - pool(x)).square().sum() for tokens in rest])


def a_vector_for_each_token(pool, x):
    rest = [torch.cat([x[:, :i], x[:, i + 1 :]], dim=1) for i in range(x.shape[1])]
    return torch.cat([pool(tokens) - pool(x) for tokens in rest])


def _influence(model, size):
    image = torch.ones(1, 1, size, size, requires_grad=True)
    model(image)[0, 0, size // 2, size // 2].backward()
    return image.grad[0, 0].abs().sum(dim=0).nonzero().flatten()


def whole_width(model, size):
    columns = _influence(model, size)
    return (columns.max() - columns.min() + 1).item()


def pixel_itself_counted(model, size):
    return ((size // 2 - _influence(model, size)).abs().max() + 1).item()


def to_the_right_only(model, size):
    return (_influence(model, size).max() - size // 2).item()


def up_and_down(model, size):
    image = torch.ones(1, 1, size, size, requires_grad=True)
    model(image)[0, 0, size // 2, size // 2].backward()
    return (image.grad[0, 0].abs().sum(dim=1).nonzero() - size // 2).abs().max().item()


def counted_from_zero(looks_at):
    heard = torch.eye(len(looks_at[0]), dtype=torch.bool)
    for count, block in enumerate(looks_at):
        heard = (block.float() @ heard.float()) > 0
        if heard.all():
            return count
    return 0


def heard_directly_only(looks_at):
    heard = torch.zeros_like(looks_at[0])
    for count, block in enumerate(looks_at, start=1):
        heard = heard | block
        if heard.all():
            return count
    return 0


def listens_backwards(looks_at):
    heard = torch.eye(len(looks_at[0]))
    for count, block in enumerate(looks_at, start=1):
        heard = block.T.float() @ heard
        if heard.all():
            return count
    return 0


def never_is_the_last(looks_at):
    heard, count = torch.eye(len(looks_at[0]), dtype=torch.bool), 0
    while count < len(looks_at) and not heard.all():
        heard = (looks_at[count].float() @ heard.float()) > 0
        count += 1
    return count


def best_by_itself(score, parts):
    return max(parts, key=lambda part: score([part]))


def least_missed(score, parts):
    return max(parts, key=lambda part: score([other for other in parts if other != part]))


MISTAKES = {
    "01.4": [
        (only_the_input_shuffled, "another order"),
        (mean_difference, "That is the mean"),
        (sign_kept, "negative"),
    ],
    "02.4": [
        (zeroed_not_left_out, "leave it out"),
        (squared_distance, "square of the distance"),
        (a_vector_for_each_token, "one number a token"),
    ],
    "05.5": [
        (whole_width, "from the middle"),
        (pixel_itself_counted, "One too many"),
        (to_the_right_only, "both sides"),
        (up_and_down, "up and down"),
    ],
    "06.4": [
        (counted_from_zero, "Count from one"),
        (heard_directly_only, "travels on"),
        (never_is_the_last, "return 0"),
        (listens_backwards, "the wrong way"),
    ],
    "07.4": [(best_by_itself, "by itself"), (least_missed, "costs least"), (lambda *_: 0.3, "name is expected")],
}
