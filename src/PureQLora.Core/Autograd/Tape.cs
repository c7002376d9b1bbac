namespace PureQLora.Core;

/// <summary>
/// Operations in the order in which they ran, which is a topological order; backward walks it in reverse. A node at the position of
/// an earlier pass is used again if it is of the same type, so a training step that repeats allocates none.
/// </summary>
internal sealed class Tape
{
    private readonly List<TapeNode> _nodes = [];

    public int Count { get; private set; }

    public TNode Append<TNode>(Tensor output)
        where TNode : TapeNode, new()
    {
        TNode node;
        if (Count < _nodes.Count && _nodes[Count] is TNode recycled)
        {
            node = recycled;
        }
        else
        {
            node = new TNode();
            if (Count < _nodes.Count)
            {
                _nodes[Count] = node;
            }
            else
            {
                _nodes.Add(node);
            }
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
}
