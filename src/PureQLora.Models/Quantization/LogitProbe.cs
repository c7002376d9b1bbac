using PureQLora.Core;
using Tensor = PureQLora.Core.Tensor;

namespace PureQLora.Models;

/// <summary>
/// How far a model's predictions move when some of its layers are changed: the Kullback-Leibler divergence from the predictions of the model as
/// it was, in nats a token, on some text. The layers before the changed ones are not run again.
/// </summary>
internal sealed class LogitProbe
{
    /// <summary>Tokens of the text.</summary>
    private const int MostTokens = 1024;

    private readonly LlamaModel _model;
    private readonly Arena _arena;
    private readonly Precision _precision;
    private readonly CalibrationPack[] _packs;
    private readonly float[][] _exact; // final hidden states of the model as it was, by pack. [tokens, hidden]
    private int _block;

    /// <summary>Runs the model as it is.</summary>
    /// <param name="model">The model.</param>
    /// <param name="arena">Memory of a pass.</param>
    /// <param name="samples">Token ids; about the first 1024 are used.</param>
    /// <param name="precision">Of the products.</param>
    public LogitProbe(LlamaModel model, Arena arena, IReadOnlyList<int[]> samples, Precision precision)
    {
        (_model, _arena, _precision) = (model, arena, precision);
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
        _exact = new float[_packs.Length][];
        for (int i = 0; i < _packs.Length; i++)
        {
            using ComputeScope scope = new(_arena) { Precision = _precision };
            _exact[i] = Final(scope, _packs[i]).ToArray();
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
        (double sum, long tokens) = (0, 0);
        foreach ((CalibrationPack pack, float[] values) in _packs.Zip(_exact))
        {
            using ComputeScope scope = new(_arena) { Precision = _precision };
            Tensor hidden = Final(scope, pack);
            Tensor exact = scope.From(values, hidden.Shape);
            sum += KullbackLeibler.Forward(scope, hidden, _model.Head, exact, _model.Head, normalizer: 1).Floats[0];
            tokens += pack.Tokens;
        }

        return Math.Max(sum / tokens, 0);
    }

    /// <summary>Final hidden states, from the input of the present block on. [1, tokens, hidden]</summary>
    private Tensor Final(ComputeScope scope, CalibrationPack pack)
    {
        Tensor x = pack.Stream.Input(scope, pack.Tokens);
        BlockContext context = _model.Context(pack.Input(scope));
        foreach (DecoderBlock block in _model.Blocks.Skip(_block))
        {
            x = block.Forward(scope, x, context);
        }

        return RmsNorm.Forward(scope, x, _model.FinalNorm, (float)_model.Config.RmsNormEpsilon);
    }
}
