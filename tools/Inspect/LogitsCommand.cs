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
        Command command = new("logits", "Computes the logits of token ids.") { model, adapter, ids, output, threads, precision };
        command.SetAction(result =>
        {
            using ModelFolder folder = ModelFolder.Open(result.GetValue(model)!, result.GetValue(adapter));
            using CpuBackend backend = CommonOptions.CreateBackend("cpu", result.GetValue(threads));
            string path = result.GetValue(ids)!;
            IReadOnlyList<int[]> rows = TokenIdFile.Read(path, 0, folder.Model.Config.VocabularySize);
            int length = TokenIdFile.CommonLength(rows, path);
            using ComputeScope scope = new(backend) { Precision = result.GetValue(precision) ?? backend.PreferredPrecision };
            ModelInput input = ModelInput.Rows(scope, rows.SelectMany(row => row).ToArray(), length);
            Tensor logits = folder.Model.Logits(scope, folder.Model.Forward(scope, input));
            SafetensorsWriter.Write(result.GetValue(output)!, [("logits", logits)]);
            System.Console.WriteLine($"logits {logits.Shape} written to {result.GetValue(output)}");
            return ToolProgram.Success;
        });
        return command;
    }
}
