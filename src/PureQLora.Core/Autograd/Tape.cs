namespace PureQLora.Core;

/// <summary>
/// Operations in the order in which they ran, which is a topological order; backward walks it in reverse. A node at the position of
/// an earlier pass is used again if it is of the same type, so a training step that repeats allocates none. A position may see several
/// types in one step, as a checkpointed block is recorded, dropped and replaced by one node, so it keeps one of each.
/// </summary>
internal sealed class Tape
{
    private readonly List<TapeNode> _nodes = [];

    public int Count { get; private set; }

    public TNode Append<TNode>(Tensor output)
        where TNode : TapeNode, new()
    {
        TNode node;
        if (Count == _nodes.Count)
        {
            node = new TNode();
            _nodes.Add(node);
        }
        else if (_nodes[Count] is TNode same)
        {
            node = same;
        }
        else
        {
            node = TakeSpare<TNode>(_nodes[Count]) ?? new TNode();
            node.Spare = _nodes[Count];
            _nodes[Count] = node;
        }

        Count++;
        node.Output = output;
        return node;
    }

    /// <summary>Runs backward from the newest node down to <paramref name="start"/> and drops those nodes.</summary>
    public void Backward(ComputeScope scope, int start)
    {
        int end = Count;
        for (int i = end - 1; i >= start; i--)
        {
            TapeNode node = _nodes[i];
            if (node.Output.Grad is not null)
            {
                node.Backward(scope);
            }
        }

        Count = start;
    }

    public void Truncate(int count) => Count = count;

    /// <summary>Unlinks a node of the type from those that were at the same position before.</summary>
    private static TNode? TakeSpare<TNode>(TapeNode head)
        where TNode : TapeNode
    {
        for (TapeNode before = head; before.Spare is not null; before = before.Spare)
        {
            if (before.Spare is TNode found)
            {
                before.Spare = found.Spare;
                return found;
            }
        }

        return null;
    }
}
