using System.CommandLine;
using System.Globalization;
using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Training;

namespace PureQLora.Tools.Inspect;

/// <summary><c>inspect gradients</c>: loss and adapter gradients of one batch, under PEFT's tensor names.</summary>
internal static class GradientsCommand
{
    private const string PeftPrefix = "base_model.model.";

    public static Command Create()
    {
        Option<string> model = CommonOptions.Model();
        Option<string> adapter = new Option<string>("--adapter") { Description = "PEFT folder whose gradients are computed.", Required = true }.NotEmpty();
        Option<string> ids = new Option<string>("--token-ids") { Description = "JSON array of rows of token ids, all of one length.", Required = true }.NotEmpty();
        Option<string> labels = new Option<string>("--labels") { Description = "JSON array of rows of labels, −100 where nothing is supervised; not shifted.", Required = true }.NotEmpty();
        Option<string> output = new Option<string>("--output") { Description = "Safetensors file to write: PEFT's tensor names, and loss.", Required = true }.NotEmpty();
        Option<int> threads = CommonOptions.Threads();
        Option<string> device = CommonOptions.Device("cpu");
        Command command = new("gradients", "Computes loss and gradients of an adapter, dropout off.") { model, adapter, ids, labels, output, threads, device };
        command.SetAction(result =>
        {
            using DeviceChoice chosen = DeviceChoice.Open(result.GetValue(device)!, result.GetValue(threads));
            using ModelFolder folder = ModelFolder.Open(result.GetValue(model)!, result.GetValue(adapter), trainable: true, dropout: 0);
            (int[] tokens, int[] targets, int length) = Read(result.GetValue(ids)!, result.GetValue(labels)!, folder.Model.Config.VocabularySize);
            RowsMemory.Require(chosen, tokens.Length / length, length, (planner, count, each) => planner.Pass(
                "gradients", BaseShape.Of(folder.Model), Precision.Float32, recordGradients: true, (planned, scope) => _ = Compute(planned, scope, new int[count * each], new int[count * each], each)));
            folder.Model.MoveTo(chosen.Backend);
            using ComputeScope scope = new(chosen.Backend, recordGradients: true);
            float loss = Compute(folder.Model, scope, tokens, targets, length);
            SafetensorsWriter.Write(
                result.GetValue(output)!,
                [("loss", Tensor.From([loss], new Shape(1))), .. folder.Model.TrainableParameters.Select(parameter => (PeftPrefix + parameter.Name, parameter.Value.Grad!))]);
            System.Console.WriteLine($"loss {loss.ToString("G9", CultureInfo.InvariantCulture)}; gradients written to {result.GetValue(output)}");
            return ToolProgram.Success;
        });
        return command;
    }

    private static (int[] Ids, int[] Targets, int Length) Read(string idsPath, string labelsPath, int vocabulary)
    {
        IReadOnlyList<int[]> rows = TokenIdFile.Read(idsPath, 0, vocabulary);
        IReadOnlyList<int[]> labels = TokenIdFile.Read(labelsPath, TrainingSample.NoLabel, vocabulary);
        int length = TokenIdFile.CommonLength(rows, idsPath);
        if (labels.Count != rows.Count || TokenIdFile.CommonLength(labels, labelsPath) != length)
        {
            throw new UserErrorException($"{labelsPath} has {labels.Count} rows of {labels[0].Length}, {idsPath} has {rows.Count} of {length}; there must be a label for each token.");
        }

        // The token at t predicts the label at t + 1.
        int[] targets = [.. labels.SelectMany(row => row.Skip(1).Append(TrainingSample.NoLabel))];
        return targets.All(target => target == TrainingSample.NoLabel)
            ? throw new UserErrorException($"{labelsPath} supervises nothing: a label counts from the second position on.")
            : ([.. rows.SelectMany(row => row)], targets, length);
    }

    private static float Compute(LlamaModel model, ComputeScope scope, int[] ids, int[] targets, int length)
    {
        int supervised = targets.Count(target => target != TrainingSample.NoLabel);
        Tensor loss = model.Loss(scope, ModelInput.Rows(scope, ids, length), scope.From(targets, new Shape(ids.Length / length, length)), supervised);
        scope.Backward(loss);
        return loss.ToArray()[0];
    }
}
