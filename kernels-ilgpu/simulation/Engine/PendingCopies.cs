namespace PureQLora.Kernels.Simulation.Engine;

/// <summary>The asynchronous copies of a thread, in groups, oldest first.</summary>
internal sealed class PendingCopies
{
    private readonly Queue<(int Group, PendingCopy Copy)> _copies = new();
    private int _group;

    /// <summary>Adds a copy to the group that is open.</summary>
    public void Add(PendingCopy copy) => _copies.Enqueue((_group, copy));

    /// <summary>Closes the open group.</summary>
    public void Commit() => _group++;

    /// <summary>Takes the oldest copy, unless it is in one of the latest closed groups, or in the open one.</summary>
    public bool TryTake(int pendingGroups, out PendingCopy copy)
    {
        copy = default;
        if (!_copies.TryPeek(out (int Group, PendingCopy Copy) oldest) || oldest.Group >= _group - pendingGroups)
        {
            return false;
        }

        copy = _copies.Dequeue().Copy;
        return true;
    }

    /// <summary>Forgets all.</summary>
    public void Clear()
    {
        _copies.Clear();
        _group = 0;
    }
}
