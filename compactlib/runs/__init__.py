"""Runs of notebooks: what they are (catalogue, parameters, plan, folders, results, evidence), how they are executed
(execute, runner, sweep, refresh), and what becomes of them (report, board)."""
