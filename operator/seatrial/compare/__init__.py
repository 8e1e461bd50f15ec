"""The comparer: asks both models the same live requests again and counts where their answers agree.

A process of its own beside a shadow. It gets copies of live requests whose answers nobody waits for, keeps
a bounded sample of them, and lets everything else go.
"""
