namespace PureQLora.Core.Tests;

/// <summary>A scalar loss for gradient checks that depends on no operation under test: Σ weight(i) · y(i).</summary>
internal static class WeightedSumLoss
{
    public static void Backward(ComputeScope scope, Tensor y)
    {
        Tensor loss = scope.Zeros(new Shape(1));
        Assert.True(scope.Tracks(loss, y), "the output does not require a gradient");
        scope.Record<Node>(loss).Y = y;
        scope.Backward(loss);
    }

    private sealed class Node : TapeNode
    {
        public Tensor Y { get; set; } = null!;

        public override void Backward(ComputeScope scope)
        {
            Span<float> gradient = scope.GradOf(Y)!.Floats;
            for (int i = 0; i < gradient.Length; i++)
            {
                gradient[i] += (float)Reference.Weight(i) * OutputGrad.Floats[0];
            }
        }
    }
}
