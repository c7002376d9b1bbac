using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>
/// Samples of one forward pass, laid end to end in one row: no padding is computed, and segments keep attention inside each sample.
/// The buffers are used again, so that a step allocates nothing.
/// </summary>
internal sealed class MicroBatch
{
    private int[] _ids = new int[1024];
    private int[] _targets = new int[1024];
    private int[] _positions = new int[1024];
    private int[] _segments = new int[1024];
    private int _sequences;

    /// <summary>Tokens of the row.</summary>
    public int Tokens { get; private set; }

    /// <summary>Predictions that the loss counts.</summary>
    public int SupervisedTokens { get; private set; }

    /// <summary>Empties the row.</summary>
    public void Clear() => (Tokens, SupervisedTokens, _sequences) = (0, 0, 0);

    /// <summary>Lays part of a sample behind what is there.</summary>
    public void Add(TrainingSample sample, int start, int count)
    {
        Reserve(Tokens + count);
        for (int i = 0; i < count; i++)
        {
            int at = Tokens + i;
            _ids[at] = sample.InputIds[start + i];
            _positions[at] = i;
            _segments[at] = _sequences;

            // The token here predicts the next one of its own sample; the last predicts nothing.
            _targets[at] = i + 1 < count ? sample.Labels[start + i + 1] : TrainingSample.NoLabel;
            SupervisedTokens += _targets[at] != TrainingSample.NoLabel ? 1 : 0;
        }

        Tokens += count;
        _sequences++;
    }

    /// <summary>The row as the model takes it.</summary>
    public ModelInput Input(ComputeScope scope)
    {
        Shape shape = new(1, Tokens);
        return new ModelInput(scope.From(_ids.AsSpan(0, Tokens), shape), scope.From(_positions.AsSpan(0, Tokens), shape))
        {
            Segments = scope.From(_segments.AsSpan(0, Tokens), shape),
        };
    }

    /// <summary>The token that each position must predict, or −100. [1, tokens]</summary>
    public Tensor Targets(ComputeScope scope) => scope.From(_targets.AsSpan(0, Tokens), new Shape(1, Tokens));

    private void Reserve(int tokens)
    {
        if (tokens > _ids.Length)
        {
            int size = Math.Max(tokens, 2 * _ids.Length);
            Array.Resize(ref _ids, size);
            Array.Resize(ref _targets, size);
            Array.Resize(ref _positions, size);
            Array.Resize(ref _segments, size);
        }
    }
}
