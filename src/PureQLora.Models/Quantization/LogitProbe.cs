using System.Numerics.Tensors;
using PureQLora.Core;
using Tensor = PureQLora.Core.Tensor;

namespace PureQLora.Models;

/// <summary>
/// How far a model's predictions move when some of its layers are changed: the Kullback-Leibler divergence from the predictions of the model as
/// it was, in nats a token, on some text. The layers before the changed ones are not run again.
/// </summary>
internal sealed class LogitProbe
{
    /// <summary>Tokens of the text: their logits are kept.</summary>
    private const int MostTokens = 1024;

    private readonly LlamaModel _model;
    private readonly CpuBackend _backend;
    private readonly Arena _arena;
    private readonly Precision _precision;
    private readonly CalibrationPack[] _packs;
    private readonly float[][] _probabilities; // by pack, [tokens, vocabulary]
    private readonly double[][] _entropies;    // by pack, −Σ p·log p. [tokens]
    private int _block;

    /// <summary>Runs the model as it is.</summary>
    /// <param name="model">The model.</param>
    /// <param name="backend">Computes.</param>
    /// <param name="arena">Memory of a pass.</param>
    /// <param name="samples">Token ids; about the first 1024 are used.</param>
    /// <param name="precision">Of the products.</param>
    public LogitProbe(LlamaModel model, CpuBackend backend, Arena arena, IReadOnlyList<int[]> samples, Precision precision)
    {
        (_model, _backend, _arena, _precision) = (model, backend, arena, precision);
        List<int[]> chosen = [];
        int tokens = 0;
        foreach (int[] sample in samples.Where(sample => sample.Length > 0))
        {
            int[] part = sample[..Math.Min(sample.Length, MostTokens - tokens)];
            chosen.Add(part);
            tokens += part.Length;
            if (tokens == MostTokens)
            {
                break;
            }
        }

        _packs = CalibrationPack.Embed(model, arena, chosen, besideExact: false);
        _probabilities = new float[_packs.Length][];
        _entropies = new double[_packs.Length][];
        for (int i = 0; i < _packs.Length; i++)
        {
            (int at, CalibrationPack pack) = (i, _packs[i]);
            Run(pack, logits =>
            {
                (_probabilities[at], _entropies[at]) = (logits.ToArray(), new double[pack.Tokens]);
                ForEachToken(pack, (token, vocabulary) =>
                {
                    Span<float> row = _probabilities[at].AsSpan(token * vocabulary, vocabulary);
                    double logSum = LogSumExp(row);
                    Span<float> p = new float[vocabulary];
                    TensorPrimitives.Subtract(row, (float)logSum, p);
                    TensorPrimitives.Exp(p, p);
                    _entropies[at][token] = logSum - Dot(p, row);
                    p.CopyTo(row);
                });
            });
        }
    }

    /// <summary>Goes on to the next block, with the layers as they are now.</summary>
    public void Advance()
    {
        foreach (CalibrationPack pack in _packs)
        {
            using ComputeScope scope = new(_arena) { Precision = _precision };
            pack.Stream.Advance(_model.Blocks[_block].Forward(scope, pack.Stream.Input(scope, pack.Tokens), _model.Context(pack.Input(scope))));
        }

        _block++;
    }

    /// <summary>The divergence with the layers of the present and later blocks as they are now.</summary>
    public double Divergence()
    {
        double sum = 0;
        long count = 0;
        for (int i = 0; i < _packs.Length; i++)
        {
            (int at, CalibrationPack pack) = (i, _packs[i]);
            Run(pack, logits =>
            {
                float[] values = logits.ToArray();
                double[] divergences = new double[pack.Tokens];
                ForEachToken(pack, (token, vocabulary) =>
                {
                    ReadOnlySpan<float> row = values.AsSpan(token * vocabulary, vocabulary);
                    divergences[token] = LogSumExp(row) - Dot(_probabilities[at].AsSpan(token * vocabulary, vocabulary), row) - _entropies[at][token];
                });
                sum += divergences.Sum();
                count += divergences.Length;
            });
        }

        return Math.Max(sum / count, 0);
    }

    private void Run(CalibrationPack pack, Action<Tensor> use)
    {
        using ComputeScope scope = new(_arena) { Precision = _precision };
        Tensor x = pack.Stream.Input(scope, pack.Tokens);
        BlockContext context = _model.Context(pack.Input(scope));
        foreach (DecoderBlock block in _model.Blocks.Skip(_block))
        {
            x = block.Forward(scope, x, context);
        }

        use(_model.Logits(scope, RmsNorm.Forward(scope, x, _model.FinalNorm, (float)_model.Config.RmsNormEpsilon)));
    }

    private void ForEachToken(CalibrationPack pack, Action<int, int> body) => _backend.For(pack.Tokens, 16, (start, end) =>
    {
        for (int token = (int)start; token < end; token++)
        {
            body(token, _model.Config.VocabularySize);
        }
    });

    private static double LogSumExp(ReadOnlySpan<float> values)
    {
        float largest = TensorPrimitives.Max(values);
        double sum = 0;
        Span<float> part = stackalloc float[256];
        for (int start = 0; start < values.Length; start += part.Length)
        {
            ReadOnlySpan<float> source = values.Slice(start, Math.Min(part.Length, values.Length - start));
            TensorPrimitives.Subtract(source, largest, part);
            TensorPrimitives.Exp<float>(part[..source.Length], part);
            sum += TensorPrimitives.Sum<float>(part[..source.Length]);
        }

        return largest + Math.Log(sum);
    }

    /// <summary>In float64: the divergence is a small difference of large terms.</summary>
    private static double Dot(ReadOnlySpan<float> left, ReadOnlySpan<float> right)
    {
        double sum = 0;
        for (int i = 0; i < left.Length; i++)
        {
            sum += (double)left[i] * right[i];
        }

        return sum;
    }
}
