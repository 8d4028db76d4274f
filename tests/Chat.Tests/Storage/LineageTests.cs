using Chat.Storage;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Chat.Tests.Storage;

public sealed class LineageTests
{
    [Theory]
    [InlineData("data", true)]
    [InlineData("jsonb_set(data, '{origin}', '\"1/00000001/1\"')", false)]
    [InlineData("data - 'origin'", true)]
    public async Task Another_origin_is_another_epoch(string whatIsThere, bool isTheSame)
    {
        await using var app = await ChatApp.Start();
        var tables = app.Services.GetRequiredService<Tables>();
        await using (var command = app.Services.GetRequiredService<NpgsqlDataSource>().CreateCommand($"update {tables.Lineage} set data = {whatIsThere}"))
            await command.ExecuteNonQueryAsync();

        await using var later = await app.StartNode();
        await using var another = await app.StartNode();

        var epoch = later.Services.GetRequiredService<Lineage>().Epoch;
        Assert.Equal(isTheSame, epoch == app.Services.GetRequiredService<Lineage>().Epoch);
        Assert.Equal(epoch, another.Services.GetRequiredService<Lineage>().Epoch);
    }
}
