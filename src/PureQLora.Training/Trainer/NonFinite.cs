using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>Finds where a loss or gradient stopped being finite.</summary>
internal static class NonFinite
{
    /// <summary>One sentence: the step, the first layer concerned, what to try.</summary>
    public static string Describe(LlamaModel model, ComputeScope scope, MicroBatch[] batches, int step, double loss)
    {
        string what = double.IsFinite(loss) ? "a gradient is not finite" : "the loss is not finite";
        string where = FirstActivation(model, scope, batches) ?? FirstGradient(model) ?? "in the head";
        return $"At step {step} {what}: it starts {where}. The weights are those of the step before; "
            + "try a smaller learning rate, a longer warm-up or clipping (training.maxGradNorm), and check the data around this step.";
    }

    private static string? FirstActivation(LlamaModel model, ComputeScope scope, MicroBatch[] batches)
    {
        scope.RecordsGradients = false;
        try
        {
            foreach (MicroBatch batch in batches)
            {
                scope.Reset();
                ModelInput input = batch.Input(scope);
                BlockContext context = model.Context(input);
                Tensor x = model.Embed(scope, input);
                if (!IsFinite(scope, x))
                {
                    return "in the embedding";
                }

                for (int layer = 0; layer < model.Blocks.Count; layer++)
                {
                    x = model.Blocks[layer].Forward(scope, x, context);
                    if (!IsFinite(scope, x))
                    {
                        return $"in model.layers.{layer}";
                    }
                }
            }
        }
        finally
        {
            scope.RecordsGradients = true;
        }

        return null;
    }

    private static string? FirstGradient(LlamaModel model)
    {
        NamedParameter? parameter = model.TrainableParameters.LastOrDefault(parameter => !parameter.Value.Grad!.ToArray().All(float.IsFinite));
        return parameter is null ? null : $"in the gradient of {parameter.Name}";
    }

    private static bool IsFinite(ComputeScope scope, Tensor x) => double.IsFinite(scope.Backend.SumOfSquares(x));
}
