using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>What has become of a row of calibration tokens on its way through a model.</summary>
internal sealed class CalibrationStream
{
    /// <summary>Hidden states: the input of the present block, or, where its stages are taken one by one, what has become of it. [tokens, hidden]</summary>
    public float[] Hidden { get; set; } = [];

    /// <summary>What o_proj of the present block takes, where it is kept. [tokens, heads · headDim]</summary>
    public float[] Mixed { get; set; } = [];

    /// <summary>The hidden states as a tensor. [1, tokens, hidden]</summary>
    public Tensor Input(ComputeScope scope, int tokens) => Of(scope, Hidden, tokens);

    /// <summary>The input of o_proj as a tensor. [1, tokens, heads · headDim]</summary>
    public Tensor OutputInput(ComputeScope scope, int tokens) => Of(scope, Mixed, tokens);

    /// <summary>Keeps new hidden states.</summary>
    public void Advance(Tensor hidden) => hidden.Floats.CopyTo(Hidden);

    /// <summary>Keeps what o_proj takes.</summary>
    public Tensor KeepMixed(Tensor mixed)
    {
        if (Mixed.Length == 0)
        {
            Mixed = new float[mixed.Floats.Length];
        }

        mixed.Floats.CopyTo(Mixed);
        return mixed;
    }

    private static Tensor Of(ComputeScope scope, float[] values, int tokens) => scope.From(values, new Shape(1, tokens, values.Length / tokens));
}
