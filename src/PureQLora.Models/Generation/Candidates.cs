using System.Numerics.Tensors;

namespace PureQLora.Models;

/// <summary>Tokens that may come next and their scores; every step narrows the list and keeps its order by id.</summary>
internal sealed class Candidates
{
    private int[] _ids = [];
    private double[] _scores = [];
    private double[] _weights = [];     // exp(score − highest), or what a step makes of it
    private double[] _scratch = [];
    private int[] _seen = [];           // by id: the last call that saw it
    private int _call;
    private int _count;

    private Span<double> Scores => _scores.AsSpan(0, _count);

    private Span<double> Weights => _weights.AsSpan(0, _count);

    /// <summary>Starts again with all tokens.</summary>
    public void Load(ReadOnlySpan<float> logits)
    {
        if (_ids.Length < logits.Length)
        {
            (_ids, _scores) = (new int[logits.Length], new double[logits.Length]);
            (_weights, _scratch) = (new double[logits.Length], new double[logits.Length]);
        }

        _count = logits.Length;
        for (int id = 0; id < _count; id++)
        {
            (_ids[id], _scores[id]) = (id, logits[id]);
        }
    }

    /// <summary>Score / penalty where it is positive, score · penalty where not, once for each token of the context.</summary>
    public void Penalize(ReadOnlySpan<int> context, double penalty)
    {
        if (_seen.Length < _count)
        {
            (_seen, _call) = (new int[_count], 0);
        }

        _call++;
        foreach (int id in context)
        {
            if ((uint)id < (uint)_count && _seen[id] != _call)
            {
                _seen[id] = _call;
                _scores[id] = _scores[id] < 0 ? _scores[id] * penalty : _scores[id] / penalty;
            }
        }
    }

    /// <summary>−∞ for tokens that would make the last size − 1 tokens and themselves a run that was there before.</summary>
    public void BanRepeats(ReadOnlySpan<int> context, int size)
    {
        if (context.Length < size)
        {
            return;
        }

        ReadOnlySpan<int> last = context[(context.Length - size + 1)..];
        for (int start = 0; start + size <= context.Length; start++)
        {
            int next = context[start + size - 1];
            if ((uint)next < (uint)_count && context.Slice(start, size - 1).SequenceEqual(last))
            {
                _scores[next] = double.NegativeInfinity;
            }
        }
    }

    /// <summary>Drops scores of −∞; false where nothing would be left.</summary>
    public bool DropImpossible()
    {
        KeepFrom(Scores, double.MinValue);
        return _count > 0;
    }

    /// <summary>Score / temperature.</summary>
    public void Divide(double temperature)
    {
        // Differences count alone; without the highest score a tiny temperature cannot make two infinite ones.
        TensorPrimitives.Subtract(Scores, TensorPrimitives.Max(Scores), Scores);
        TensorPrimitives.Divide(Scores, temperature, Scores);
    }

    /// <summary>Keeps the k highest scores and all that equal the last of them; 0 keeps all.</summary>
    public void KeepTop(int k)
    {
        if (k > 0 && k < _count)
        {
            KeepFrom(Scores, LargestOf(Scores, _scratch.AsSpan(0, k)));
        }
    }

    /// <summary>
    /// Drops the unlikeliest tokens while their probabilities add up to no more than 1 − p; the likeliest stays. Of equals at the cut
    /// the lower ids stay.
    /// </summary>
    public void KeepNucleus(double p)
    {
        if (p >= 1)
        {
            return;
        }

        ComputeProbabilities();
        double cut = 1 - p;

        // What is so unlikely that all of it together is dropped need not be sorted, and that is most of a large vocabulary.
        double hopeless = cut / (2.0 * _count);
        (double sum, int sorted) = (0, 0);
        foreach (double probability in Weights)
        {
            if (probability < hopeless)
            {
                sum += probability;
            }
            else
            {
                _scratch[sorted++] = probability;
            }
        }

        Span<double> ascending = _scratch.AsSpan(0, sorted);
        ascending.Sort();
        int first = 0;
        while (first < sorted - 1 && (sum += ascending[first]) <= cut)
        {
            first++;
        }

        double lowest = ascending[first];
        int equals = ascending[first..].LastIndexOf(lowest) + 1;
        KeepAbove(lowest, equals);
    }

    /// <summary>Keeps tokens whose probability is at least p times the highest.</summary>
    public void KeepLikely(double p)
    {
        if (p > 0)
        {
            ComputeWeights();
            KeepFrom(Weights, p);
        }
    }

    /// <summary>Keeps tokens with the smallest |−log probability − entropy| until they hold p, and all that equal the last of them.</summary>
    public void KeepTypical(double p)
    {
        if (p >= 1)
        {
            return;
        }

        ComputeWeights();
        double logSum = Math.Log(TensorPrimitives.Sum<double>(Weights)) + TensorPrimitives.Max<double>(Scores);
        double entropy = 0;
        for (int i = 0; i < _count; i++)
        {
            double logProbability = _scores[i] - logSum;
            _weights[i] = Math.Exp(logProbability);
            entropy -= _weights[i] > 0 ? _weights[i] * logProbability : 0;
        }

        Span<double> distances = _scratch.AsSpan(0, _count);
        for (int i = 0; i < _count; i++)
        {
            distances[i] = Math.Abs(logSum - _scores[i] - entropy);
        }

        distances.Sort(Weights);
        (double sum, int last) = (0, 0);
        while (last < _count - 1 && (sum += _weights[last]) < p)
        {
            last++;
        }

        double farthest = distances[last];
        int kept = 0;
        for (int i = 0; i < _count; i++)
        {
            if (Math.Abs(logSum - _scores[i] - entropy) <= farthest)
            {
                Move(i, kept++);
            }
        }

        _count = kept;
    }

    /// <summary>The first token with the highest score.</summary>
    public int First() => _ids[Scores.IndexOf(TensorPrimitives.Max<double>(Scores))];

    /// <summary>Inverse of the distribution function.</summary>
    /// <param name="uniform">In [0, 1).</param>
    public int Draw(double uniform)
    {
        ComputeWeights();
        double rest = uniform * TensorPrimitives.Sum<double>(Weights);
        int chosen = 0;
        for (int i = 0; i < _count; i++)
        {
            // Rounding may leave a rest behind the last token; it belongs to the last that is possible.
            if (_weights[i] > 0)
            {
                chosen = i;
                rest -= _weights[i];
                if (rest < 0)
                {
                    break;
                }
            }
        }

        return _ids[chosen];
    }

    /// <summary>Writes the probability of each token left to the place of its id.</summary>
    public void CopyProbabilities(Span<double> probabilities)
    {
        ComputeProbabilities();
        for (int i = 0; i < _count; i++)
        {
            probabilities[_ids[i]] = _weights[i];
        }
    }

    /// <summary>The smallest of the k largest values, by a heap of those.</summary>
    private static double LargestOf(ReadOnlySpan<double> values, Span<double> heap)
    {
        values[..heap.Length].CopyTo(heap);
        heap.Sort();                                        // ascending is a heap with the smallest on top
        foreach (double value in values[heap.Length..])
        {
            if (value > heap[0])
            {
                Sink(heap, value);
            }
        }

        return heap[0];
    }

    private static void Sink(Span<double> heap, double value)
    {
        int place = 0;
        for (int child = 1; child < heap.Length; child = (2 * place) + 1)
        {
            child += child + 1 < heap.Length && heap[child + 1] < heap[child] ? 1 : 0;
            if (value <= heap[child])
            {
                break;
            }

            heap[place] = heap[child];
            place = child;
        }

        heap[place] = value;
    }

    private void ComputeWeights()
    {
        TensorPrimitives.Subtract(Scores, TensorPrimitives.Max<double>(Scores), Weights);
        TensorPrimitives.Exp(Weights, Weights);
    }

    private void ComputeProbabilities()
    {
        ComputeWeights();
        TensorPrimitives.Divide(Weights, TensorPrimitives.Sum<double>(Weights), Weights);
    }

    /// <summary>Keeps tokens whose value is no less than the limit.</summary>
    private void KeepFrom(ReadOnlySpan<double> values, double limit)
    {
        int kept = 0;
        for (int i = 0; i < values.Length; i++)
        {
            if (values[i] >= limit)
            {
                Move(i, kept++);
            }
        }

        _count = kept;
    }

    /// <summary>Keeps tokens whose weight is above the limit, and the first so many that equal it.</summary>
    private void KeepAbove(double limit, int equals)
    {
        int kept = 0;
        for (int i = 0; i < _count; i++)
        {
            if (_weights[i] > limit || (_weights[i] == limit && equals-- > 0))
            {
                Move(i, kept++);
            }
        }

        _count = kept;
    }

    private void Move(int from, int to) => (_ids[to], _scores[to]) = (_ids[from], _scores[from]);
}
