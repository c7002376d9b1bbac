using System.CommandLine;
using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Training;

namespace PureQLora.Tools.Inspect;

/// <summary><c>inspect logits</c>: what the model answers to token ids, as safetensors.</summary>
internal static class LogitsCommand
{
    public static Command Create()
    {
        Option<string> model = CommonOptions.Model();
        Option<string?> adapter = CommonOptions.Adapter();
        Option<string> ids = new Option<string>("--token-ids") { Description = "JSON array of rows of token ids, all of one length.", Required = true }.NotEmpty();
        Option<string> output = new Option<string>("--output") { Description = "Safetensors file to write: logits [batch, sequence, vocabulary], float32.", Required = true }.NotEmpty();
        Option<int> threads = CommonOptions.Threads();
        Option<Precision?> precision = CommonOptions.PrecisionOption();
        precision.Description = "Rounding of the operands of matrix products: float32 (if left out), bfloat16, int8, or auto, the device's.";
        precision.DefaultValueFactory = _ => Precision.Float32;
        Option<string> device = CommonOptions.Device("cpu");
        Command command = new("logits", "Computes the logits of token ids.") { model, adapter, ids, output, threads, device, precision };
        command.SetAction(result =>
        {
            using DeviceChoice chosen = DeviceChoice.Open(result.GetValue(device)!, result.GetValue(threads));
            Precision rounding = CommonOptions.PrecisionOf(chosen, result.GetValue(precision));
            using ModelFolder folder = ModelFolder.Open(result.GetValue(model)!, result.GetValue(adapter));
            string path = result.GetValue(ids)!;
            IReadOnlyList<int[]> rows = TokenIdFile.Read(path, 0, folder.Model.Config.VocabularySize);
            int length = TokenIdFile.CommonLength(rows, path);
            RowsMemory.Require(chosen, rows.Count, length, (planner, count, each) => planner.Pass(
                "logits", BaseShape.Of(folder.Model), rounding, recordGradients: false, (planned, scope) => _ = Compute(planned, scope, new int[count * each], each)));
            folder.Model.MoveTo(chosen.Backend);
            using ComputeScope scope = new(chosen.Backend) { Precision = rounding };
            Tensor logits = Compute(folder.Model, scope, [.. rows.SelectMany(row => row)], length);
            SafetensorsWriter.Write(result.GetValue(output)!, [("logits", logits)]);
            System.Console.WriteLine($"logits {logits.Shape} written to {result.GetValue(output)}");
            return ToolProgram.Success;
        });
        return command;
    }

    private static Tensor Compute(LlamaModel model, ComputeScope scope, int[] ids, int length) =>
        model.Logits(scope, model.Forward(scope, ModelInput.Rows(scope, ids, length)));
}
