global using Chat.Bench.Results;
global using Chat.Bench.Servers;
